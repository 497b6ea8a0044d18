using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>What is said last: an optional text message, a pause for the client to act on it, then the close.</summary>
internal sealed record Farewell(byte[]? Event, CloseFrame Close, TimeSpan Pause);
