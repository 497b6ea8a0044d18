using System.Buffers;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>Where to relay to, and how.</summary>
/// <param name="Url">ws or wss, as <see cref="UpstreamAddress.Check"/> allows it.</param>
/// <param name="Headers">Added to the opening; may carry secrets.</param>
/// <param name="Subprotocol">Offered to the upstream, or null.</param>
/// <param name="AllowPrivateAddresses">Also loopback, private and metadata addresses.</param>
/// <param name="ConnectTimeout">For look-up, connection, TLS and opening together.</param>
/// <param name="TrustedRoots">Trusted instead of the system's authorities; null for these.</param>
internal sealed record UpstreamTarget(
    string Url, IReadOnlyList<KeyValuePair<string, string>> Headers, string? Subprotocol, bool AllowPrivateAddresses,
    TimeSpan ConnectTimeout, X509Certificate2Collection? TrustedRoots = null);

internal enum UpstreamFailure { Unreachable, Refused, BadHandshake, AddressForbidden, Timeout }

/// <summary>Why an upstream could not be had; the message is fit for the audit: no path, header or credential stands in it.</summary>
internal sealed class UpstreamException(UpstreamFailure failure, string message, Exception? inner = null) : Exception(message, inner)
{
    public UpstreamFailure Failure { get; } = failure;
}

/// <summary>An opened WebSocket to an upstream: raw bytes, no framing done.</summary>
internal sealed class UpstreamConnection(Stream stream, ReadOnlyMemory<byte> surplus, string? subprotocol) : IDisposable
{
    public Stream Stream { get; } = stream;
    public string? Subprotocol { get; } = subprotocol;

    /// <summary>What came behind the answer's head, once: the second call gives nothing.</summary>
    public ReadOnlyMemory<byte> TakeSurplus()
    {
        var taken = surplus;
        surplus = default;
        return taken;
    }

    public void Dispose() => Stream.Dispose();
}

/// <summary>Dials upstreams over its own sockets: an HttpClient upgrade costs several times as much.</summary>
internal static class Upstream
{
    private static readonly NameLookUps Names = new(Dns.GetHostAddresses);

    /// <summary>Looks the host up once, checks every address, dials a checked one, and opens a WebSocket.</summary>
    /// <exception cref="UpstreamException">It could not be had. Nothing stays open.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/> was cancelled.</exception>
    public static async Task<UpstreamConnection> ConnectAsync(UpstreamTarget target, CancellationToken ct)
    {
        var address = UpstreamAddress.Parse(target.Url, out var problem)
            ?? throw new UpstreamException(UpstreamFailure.Unreachable, problem!);
        using var time = CancellationTokenSource.CreateLinkedTokenSource(ct);
        time.CancelAfter(target.ConnectTimeout);
        Stream? stream = null;
        try
        {
            var socket = await DialAsync(address.Host, address.Port, target.AllowPrivateAddresses, time.Token);
            if (address.Tls)
            {
                await SocketThread.LeaveAsync();
                stream = await SecureAsync(new PooledStream(socket), address, target, time.Token);
            }
            else
            {
                stream = new SocketStream(socket);
            }
            return await OpenAsync(stream, address, target, time.Token);
        }
        catch (Exception e)
        {
            stream?.Dispose();
            throw e switch
            {
                UpstreamException => e,
                OperationCanceledException when ct.IsCancellationRequested => new OperationCanceledException(ct),
                OperationCanceledException => new UpstreamException(UpstreamFailure.Timeout, "The upstream did not answer in time.", e),
                SocketException s => new UpstreamException(UpstreamFailure.Unreachable, $"The upstream could not be reached: {s.SocketErrorCode}.", e),
                AuthenticationException => new UpstreamException(UpstreamFailure.BadHandshake, "The upstream's certificate is not trusted, or TLS failed.", e),
                IOException => new UpstreamException(UpstreamFailure.BadHandshake, "The upstream closed the connection during the opening.", e),
                _ => e,
            };
        }
    }

    /// <summary>Looks a host up once, checks every address, and dials a checked one.</summary>
    /// <exception cref="UpstreamException">It has no address, or a forbidden one.</exception>
    /// <exception cref="SocketException">It cannot be reached.</exception>
    public static async ValueTask<Socket> DialAsync(string host, int port, bool allowPrivate, CancellationToken ct) =>
        await DialAsync(await ResolveAsync(host, allowPrivate, ct), port, ct);

    private static async ValueTask<IPAddress[]> ResolveAsync(string host, bool allowPrivate, CancellationToken ct)
    {
        var found = IPAddress.TryParse(host, out var literal) ? [literal] : await Names.FindAsync(host).WaitAsync(ct);
        if (found.Length == 0) throw new UpstreamException(UpstreamFailure.Unreachable, "The upstream's name has no address.");
        // One forbidden address among good ones is how rebinding begins: it condemns the name.
        if (!allowPrivate && !found.All(AddressRules.IsPublic))
            throw new UpstreamException(UpstreamFailure.AddressForbidden, "The upstream's address is private, local or reserved; relaying there must be allowed by a setting.");
        return found;
    }

    private static async ValueTask<Socket> DialAsync(IPAddress[] addresses, int port, CancellationToken ct)
    {
        for (var i = 0; ; i++)
        {
            var socket = new Socket(addresses[i].AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                DeadPeers.Watch(socket);
                await socket.ConnectAsync(new IPEndPoint(addresses[i], port), ct);
                return socket;
            }
            catch (Exception e)
            {
                socket.Dispose();
                if (e is not SocketException || i == addresses.Length - 1) throw;
            }
        }
    }

    private static async ValueTask<Stream> SecureAsync(Stream plain, UpstreamAddress address, UpstreamTarget target, CancellationToken ct)
    {
        var secure = new SslStream(plain);
        var options = new SslClientAuthenticationOptions { TargetHost = address.Host };
        if (target.TrustedRoots is { } roots)
        {
            options.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }
        try
        {
            await secure.AuthenticateAsClientAsync(options, ct);
            return secure;
        }
        catch
        {
            await secure.DisposeAsync();
            throw;
        }
    }

    private static async ValueTask<UpstreamConnection> OpenAsync(Stream stream, UpstreamAddress address, UpstreamTarget target, CancellationToken ct)
    {
        var (buffer, length) = UpstreamHandshake.WriteRequest(address, target, out var key);
        try
        {
            await stream.WriteAsync(buffer.AsMemory(0, length), ct);
            for (var have = 0; ;)
            {
                if (have == buffer.Length) buffer = Grow(buffer, have);
                var count = await stream.ReadAsync(buffer.AsMemory(have), ct);
                if (count == 0) throw new UpstreamException(UpstreamFailure.BadHandshake, "The upstream closed the connection during the opening.");
                have += count;
                var head = UpstreamHandshake.ReadAnswer(buffer.AsSpan(0, have), key, target.Subprotocol, out var subprotocol);
                if (head > 0) return new(stream, have > head ? buffer.AsSpan(head, have - head).ToArray() : default, subprotocol);
            }
        }
        finally
        {
            // The request held the operator's secrets.
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
    }

    private static byte[] Grow(byte[] full, int have)
    {
        var larger = ArrayPool<byte>.Shared.Rent(2 * full.Length);
        full.AsSpan(0, have).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(full, clearArray: true);
        return larger;
    }
}
