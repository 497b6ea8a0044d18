namespace Postern.Server.Flow;

/// <summary>What a relayed session may cost; the same for both directions.</summary>
/// <param name="MaxMessageBytes">Longest payload of one message, its fragments together.</param>
/// <param name="MaxFramesPerSecond">Frames that begin within one second, control frames included.</param>
/// <param name="Idle">Longest silence of both sides together.</param>
/// <param name="SlowReader">Longest time for which a side may not take what is sent to it.</param>
/// <param name="MaxBytesPerSecond">Bytes of frames that begin within one second.</param>
internal sealed record RelayLimits(
    int MaxMessageBytes, int MaxFramesPerSecond, TimeSpan Idle, TimeSpan SlowReader, long MaxBytesPerSecond = 8 * 1024 * 1024);
