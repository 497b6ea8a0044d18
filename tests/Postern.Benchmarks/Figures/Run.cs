namespace Postern.Benchmarks.Figures;

/// <summary>One run of the harness: how long it is and what it has measured.</summary>
internal sealed class Run(int rounds, bool quick, string? postgres, string? against)
{
    private readonly List<(string Benchmark, Figure Figure, List<double> Values)> measured = [];

    /// <summary>Rounds that count; one more is run before them.</summary>
    public int Rounds => rounds;

    /// <summary>Fewer operations, to see that it works; the figures are rough.</summary>
    public bool Quick => quick;

    /// <summary>A PostgreSQL to measure as well.</summary>
    public string? Postgres => postgres;

    /// <summary>The postern.dll of another build, to measure beside this one.</summary>
    public string? Against => against;

    /// <summary>All figures in the order in which they were first measured.</summary>
    public IReadOnlyList<(string Benchmark, Figure Figure, List<double> Values)> Measured => measured;

    /// <summary>The benchmark that runs now.</summary>
    public string Benchmark { get; set; } = "";

    /// <summary>Warm-up rounds that are not counted, then the others.</summary>
    /// <param name="warmUps">Until the runtime has compiled what is measured: what it does for that is a third of the CPU of a process's
    /// first thousands of sessions, and nothing of its later ones.</param>
    public async Task RoundsAsync(Func<Round, Task> act, int warmUps = 1)
    {
        for (var i = quick ? 0 : 1 - warmUps; i <= rounds; i++)
        {
            await Console.Error.WriteLineAsync(i <= 0 ? $"{Benchmark}: warm-up" : $"{Benchmark}: round {i} of {rounds}");
            await act(new Round(this, i));
        }
    }

    public void Add(Figure figure, double value)
    {
        if (measured.Find(one => one.Figure == figure && one.Benchmark == Benchmark).Values is not { } values)
        {
            measured.Add((Benchmark, figure, values = []));
        }
        values.Add(value);
    }
}

/// <summary>One round: every candidate once.</summary>
internal sealed class Round(Run run, int number)
{
    /// <summary>Runs the candidates one after the other, every second round from the last to the first.</summary>
    public async Task InTurnAsync(params Func<Task>[] candidates)
    {
        foreach (var candidate in number % 2 == 0 ? candidates : candidates.Reverse())
        {
            await candidate();
        }
    }

    /// <summary>Keeps a value, unless this is the warm-up.</summary>
    public void Add(Figure figure, double value)
    {
        if (number > 0)
        {
            run.Add(figure, value);
        }
    }
}
