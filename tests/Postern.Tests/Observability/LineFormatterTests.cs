using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Postern.Server.Observability;

namespace Postern.Tests.Observability;

public sealed class LineFormatterTests
{
    [Theory]
    [InlineData("plain")]
    [InlineData("a\nerror 1001 forged")]
    [InlineData("a\r\n2026-01-01T00:00:00.000Z error forged")]
    [InlineData("a\r forged")]
    [InlineData("a\u001b[2Jcleared\u0007")]
    [InlineData("a\u0085b\u2028c\u2029d\u0000e\u009b31m")]
    [Trait("attack", "D6")]
    public void Event_WithHostileValues_IsOnePlainLine(string value)
    {
        var to = new StringWriter { NewLine = "\n" };
        var entry = new LogEntry<string>(LogLevel.Warning, "category", new EventId(42), value, new InvalidOperationException(value), (state, _) => state);
        new LineFormatter(new SetClock(DateTimeOffset.UnixEpoch)).Write(entry, null, to);

        var line = to.ToString();
        Assert.StartsWith("1970-01-01T00:00:00.000Z warn  42 ", line, StringComparison.Ordinal);
        Assert.EndsWith("\n", line, StringComparison.Ordinal);
        Assert.DoesNotContain(line[..^1], character => char.IsControl(character) || character is '\u2028' or '\u2029');
    }
}
