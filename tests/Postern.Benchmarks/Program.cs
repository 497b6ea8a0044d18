using Postern.Benchmarks;
using Postern.Benchmarks.Processes;

return args is ["peer", ..] ? await Peer.RunAsync(args) : await Harness.RunAsync(args);
