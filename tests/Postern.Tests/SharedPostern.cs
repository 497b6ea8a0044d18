namespace Postern.Tests;

/// <summary>One server for all tests of a class that do not move its clock or fill its lists.</summary>
public sealed class SharedPostern : IAsyncLifetime
{
    internal TestPostern Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await TestPostern.StartAsync();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
