namespace Postern.Server;

/// <summary>Postern will not do what was asked; the message is the one sentence that says what and how to mend it.</summary>
internal sealed class RefusedException(string sentence, int exitCode = RefusedException.Refused) : Exception(sentence)
{
    /// <summary>The exit code of what cannot be done here and now.</summary>
    public const int Refused = 1;

    /// <summary>The exit code of a command line or a setting that is written wrongly.</summary>
    public const int Usage = 2;

    public int ExitCode { get; } = exitCode;
}
