using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Postern.Benchmarks.Load;

/// <summary>What a load came to.</summary>
/// <param name="Count">Completed requests.</param>
/// <param name="Seconds">In this time.</param>
/// <param name="Milliseconds">Latencies in ascending order.</param>
internal sealed record LoadResult(int Count, double Seconds, float[] Milliseconds)
{
    public double PerSecond => Count / Seconds;

    public double Percentile(double part) => Milliseconds[(int)(part * (Milliseconds.Length - 1))];
}

/// <summary>
/// Requests over kept connections, each with one in flight. One thread that waits by poll(2): the generator shares two cores with the
/// server, so what it costs itself is taken from the server.
/// </summary>
internal static partial class HttpLoad
{
    private const short PollIn = 1;
    private const int LongestAnswer = 16 * 1024;

    /// <summary>As many requests as are answered in this time.</summary>
    public static LoadResult Run(IPEndPoint address, byte[] request, int connections, TimeSpan duration)
    {
        var latencies = new List<float>(1 << 18);
        var until = Stopwatch.GetTimestamp() + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        var seconds = Drive(address, () => request, connections, (_, began) =>
        {
            var now = Stopwatch.GetTimestamp();
            latencies.Add((float)Stopwatch.GetElapsedTime(began, now).TotalMilliseconds);
            return now < until;
        });
        latencies.Sort();
        return new LoadResult(latencies.Count, seconds, [.. latencies]);
    }

    /// <summary>What <paramref name="read"/> makes of each of so many answers.</summary>
    public static T[] Collect<T>(IPEndPoint address, byte[] request, int count, Func<ReadOnlySpan<byte>, T> read)
    {
        var found = new List<T>(count);
        Drive(address, () => request, Math.Min(64, count), (body, _) =>
        {
            found.Add(read(body));
            return found.Count < count;
        });
        return [.. found.Take(count)];
    }

    /// <summary>What <paramref name="read"/> makes of the answer to each of these requests, in the order in which they come.</summary>
    public static T[] Collect<T>(IPEndPoint address, IEnumerable<byte[]> requests, Func<ReadOnlySpan<byte>, T> read)
    {
        var found = new List<T>();
        var left = new Queue<byte[]>(requests);
        Drive(address, () => left.TryDequeue(out var request) ? request : null, Math.Min(64, left.Count), (body, _) =>
        {
            found.Add(read(body));
            return true;
        });
        return [.. found];
    }

    private delegate bool Answered(ReadOnlySpan<byte> body, long began);

    private static double Drive(IPEndPoint address, Func<byte[]?> next, int connections, Answered answered)
    {
        var sockets = new Socket[connections];
        var polled = new PollEntry[connections];
        var began = new long[connections];
        var buffers = new byte[connections][];
        var lengths = new int[connections];
        try
        {
            for (var i = 0; i < connections; i++)
            {
                sockets[i] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                sockets[i].Connect(address);
                polled[i] = new PollEntry { Descriptor = (int)sockets[i].Handle, Events = PollIn };
                buffers[i] = new byte[LongestAnswer];
            }
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < connections; i++)
            {
                began[i] = Stopwatch.GetTimestamp();
                sockets[i].Send(next()!);
            }
            for (var open = connections; open > 0;)
            {
                if (Poll(polled, (uint)connections, 10_000) <= 0)
                {
                    throw new TimeoutException("The server has not answered for ten seconds.");
                }
                for (var i = 0; i < connections; i++)
                {
                    if (polled[i].Returned == 0)
                    {
                        continue;
                    }
                    var count = sockets[i].Receive(buffers[i].AsSpan(lengths[i]));
                    lengths[i] = count > 0 ? lengths[i] + count : throw new IOException("The server closed a kept connection.");
                    if (!TryReadAnswer(buffers[i].AsSpan(0, lengths[i]), out var body))
                    {
                        continue;
                    }
                    lengths[i] = 0;
                    if (answered(body, began[i]) && next() is { } request)
                    {
                        began[i] = Stopwatch.GetTimestamp();
                        sockets[i].Send(request);
                    }
                    else
                    {
                        polled[i].Descriptor = -1; // poll(2) passes over it
                        open--;
                    }
                }
            }
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        finally
        {
            foreach (var socket in sockets)
            {
                socket?.Dispose();
            }
        }
    }

    private static bool TryReadAnswer(ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> body)
    {
        body = default;
        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return false;
        }
        var head = bytes[..(end + 2)];
        if (!head.StartsWith("HTTP/1.1 20"u8))
        {
            throw new InvalidDataException("The server answered " + System.Text.Encoding.ASCII.GetString(bytes));
        }
        var name = "Content-Length: "u8;
        var rest = head[(head.IndexOf(name) + name.Length)..];
        if (!System.Buffers.Text.Utf8Parser.TryParse(rest, out int length, out _))
        {
            throw new InvalidDataException("An answer without Content-Length.");
        }
        if (bytes.Length < end + 4 + length)
        {
            return false;
        }
        body = bytes.Slice(end + 4, length);
        return true;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll([In, Out] PollEntry[] entries, nuint count, int milliseconds);
}
