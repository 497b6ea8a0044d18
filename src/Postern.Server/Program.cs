Postern.Server.Hosting.SocketThread.HandleInPlace();
return await Postern.Server.Cli.Commands.RunAsync(args, Console.Out, Console.Error);
