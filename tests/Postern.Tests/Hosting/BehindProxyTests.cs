using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Postern.Tests.Hosting;

/// <summary>
/// The same framings through nginx and HAProxy: a proxy sets a mark on each request that it knows of, so one that comes without it was
/// hidden in what the proxy took for a body.
/// </summary>
public sealed class BehindProxyTests(GuardedServer server) : IClassFixture<GuardedServer>
{
    public const string Mark = "X-Via";

    private const int Patience = 150;

    public enum Proxy { Nginx, HAProxy }

    [Theory]
    [InlineData(Proxy.Nginx)]
    [InlineData(Proxy.HAProxy)]
    [Trait("attack", "D1")]
    public async Task BothFramings_ThroughAProxy_HideNoRequest(Proxy proxy)
    {
        var program = proxy == Proxy.Nginx ? "/usr/sbin/nginx" : "/usr/sbin/haproxy";
        Assert.SkipUnless(File.Exists(program), $"{proxy} is absent: apt-get install {(proxy == Proxy.Nginx ? "nginx-light" : "haproxy")}.");
        var folder = Directory.CreateTempSubdirectory("postern-proxy-").FullName;
        var port = FreePort();
        var file = Path.Combine(folder, "configuration");
        await File.WriteAllTextAsync(file, proxy == Proxy.Nginx ? Nginx(folder, port) : HAProxy(port), TestContext.Current.CancellationToken);
        using var process = Process.Start(new ProcessStartInfo(program, proxy == Proxy.Nginx ? ["-p", folder, "-c", file, "-e", Path.Combine(folder, "log")] : ["-f", file])
        {
            RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        try
        {
            await AnswersAsync(port, process);
            var (unmarked, before) = (server.Unmarked, server.Requests);
            IReadOnlyList<string> requests = [.. SmugglingTests.Pairs, .. SmugglingTests.ThrownTogether(600), .. HttpGuardTests.Smuggling.Select(row => row.Data)];
            await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = TestContext.Current.CancellationToken },
                async (request, _) => await server.SendAsync(request, Patience, port));

            Assert.Equal(unmarked, server.Unmarked);
            Assert.Equal(0, server.Failures);
            Assert.True(server.Requests > before, "nothing came through");
            Assert.Equal([200], (await server.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", port: port)).Statuses);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            Directory.Delete(folder, recursive: true);
        }
    }

    // As docs/operations.md has it, with connections to Postern that are used again: on those a hidden request would be somebody else's.
    private string Nginx(string folder, int port) => $$"""
        daemon off;
        master_process off;
        pid {{folder}}/pid;
        error_log {{folder}}/log crit;
        events { worker_connections 256; }
        http {
            access_log off;
            client_body_temp_path {{folder}}/a; proxy_temp_path {{folder}}/b; fastcgi_temp_path {{folder}}/c; uwsgi_temp_path {{folder}}/d; scgi_temp_path {{folder}}/e;
            upstream postern { server 127.0.0.1:{{server.Port}}; keepalive 8; }
            server {
                listen 127.0.0.1:{{port}};
                location / {
                    proxy_pass http://postern;
                    proxy_http_version 1.1;
                    proxy_request_buffering off;
                    proxy_set_header Connection "";
                    proxy_set_header Host localhost;
                    proxy_set_header {{Mark}} nginx;
                }
            }
        }

        """;

    private string HAProxy(int port) => $"""
        global
            maxconn 256
        defaults
            mode http
            timeout connect 2s
            timeout client 5s
            timeout server 5s
            option http-keep-alive
            http-reuse always
        frontend front
            bind 127.0.0.1:{port}
            http-request set-header {Mark} haproxy
            http-request set-header Host localhost
            default_backend postern
        backend postern
            server postern 127.0.0.1:{server.Port}

        """;

    private async Task AnswersAsync(int port, Process process)
    {
        for (var i = 0; i < 100; i++)
        {
            try
            {
                await server.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", port: port);
                return;
            }
            catch (SocketException) when (!process.HasExited)
            {
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }
        Assert.Fail($"The proxy does not listen: {(process.HasExited ? await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken) : "")}");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
