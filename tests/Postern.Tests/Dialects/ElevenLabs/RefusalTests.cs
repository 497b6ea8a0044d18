using System.Text;
using Postern.Core;
using Postern.Server.Dialects.ElevenLabs;

namespace Postern.Tests.Dialects.ElevenLabs;

public sealed class RefusalTests
{
    [Theory]
    [Trait("attack", "D6")]
    [InlineData("")]
    [InlineData("field")]
    [InlineData("a\r\nb\0c")]
    [InlineData("ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé")]
    [InlineData("語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語")]
    [InlineData("x😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀")]
    public void Close_AnyReasonAndDetail_FitsACloseFrame(string detail)
    {
        foreach (var reason in Enum.GetValues<DenialReason>())
        {
            var close = Refusals.Close(new Denial(reason, detail));
            Assert.InRange(new UTF8Encoding(false, throwOnInvalidBytes: true).GetByteCount(close.Reason), 1, 123);
            Assert.DoesNotContain(close.Reason, char.IsControl);
            Assert.InRange(Refusals.Answer(new Denial(reason, detail)).Status, 400, 503);
        }
    }
}
