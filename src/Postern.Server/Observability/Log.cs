namespace Postern.Server.Observability;

/// <summary>Everything Postern writes to its log: stable ids, no secret, one line each.</summary>
/// <remarks>1xxx the server itself · 2xxx requests · 3xxx conversations. An id is never given to another event.</remarks>
internal static partial class Log
{
    [LoggerMessage(1001, LogLevel.Information, "Postern {Version} keeps its data in {Folder}")]
    public static partial void Started(ILogger log, string version, string folder);

    [LoggerMessage(1002, LogLevel.Information, "Stopping: live sessions have {Grace} to end")]
    public static partial void Stopping(ILogger log, string grace);

    [LoggerMessage(1003, LogLevel.Information, "Stopped")]
    public static partial void Stopped(ILogger log);

    [LoggerMessage(1010, LogLevel.Information, "Certificate {Path} changed and is in use")]
    public static partial void CertificateRead(ILogger log, string path);

    [LoggerMessage(1011, LogLevel.Error, "Certificate {Path} changed but cannot be used, the old one stays: {Reason}")]
    public static partial void CertificateKept(ILogger log, string path, string reason);

    [LoggerMessage(1020, LogLevel.Information, "Sweeping project {Project}: {Conversations} conversations and {Messages} single messages older than {Days} days so far")]
    public static partial void Sweeping(ILogger log, string project, int conversations, int messages, int days);

    [LoggerMessage(1021, LogLevel.Information, "Swept project {Project}: {Conversations} conversations and {Messages} single messages older than {Days} days")]
    public static partial void Swept(ILogger log, string project, int conversations, int messages, int days);

    [LoggerMessage(1022, LogLevel.Error, "The sweep was broken off, the next one does what is left: {Reason}")]
    public static partial void SweepFailed(ILogger log, string reason);

    [LoggerMessage(1023, LogLevel.Warning, "Ended {Sessions} sessions whose nodes were killed and have not come back")]
    public static partial void AbandonedEnded(ILogger log, int sessions);

    [LoggerMessage(1030, LogLevel.Warning, "The database holds nobody's rows back from this role, which is a superuser or has BYPASSRLS: connect as one that is not, see docs/operations.md")]
    public static partial void SightNotKept(ILogger log);

    [LoggerMessage(2001, LogLevel.Error, "A defect: {Method} {Route} ended in {Exception}")]
    public static partial void RequestFailed(ILogger log, string method, string route, string exception);

    [LoggerMessage(3001, LogLevel.Error, "The end of session {Session} ({Reason}) is not recorded: {Problem}")]
    public static partial void EndNotRecorded(ILogger log, string session, string reason, string problem);

    [LoggerMessage(3002, LogLevel.Error, "A defect: the conversation {Conversation} ended in {Exception}")]
    public static partial void TalkFailed(ILogger log, string conversation, string exception);

    [LoggerMessage(3003, LogLevel.Error, "The end of the conversation {Conversation} could not be recorded: {Reason}")]
    public static partial void ConversationNotRecorded(ILogger log, string conversation, string reason);

    [LoggerMessage(3004, LogLevel.Warning, "The agent of session {Session} could not answer ({Failure}): {Problem}")]
    public static partial void ChatFailed(ILogger log, string session, string failure, string problem);

    [LoggerMessage(3005, LogLevel.Warning, "The room {Room} could not be closed at its media server, which holds it until its own limits: {Problem}")]
    public static partial void RoomNotClosed(ILogger log, string room, string problem);
}
