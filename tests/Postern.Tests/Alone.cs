namespace Postern.Tests;

/// <summary>Tests that hold a promise against the clock run when all others are done: beside those they would measure them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
