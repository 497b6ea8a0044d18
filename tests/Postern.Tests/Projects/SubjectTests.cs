using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Tests.Credentials;

namespace Postern.Tests.Projects;

[Trait("attack", "A16")]
public sealed class SubjectTests
{
    [Theory]
    [InlineData("user-1", true)]
    [InlineData("a", true)]
    [InlineData("User-1", true)]
    [InlineData("user-1 ", true)]
    [InlineData("é", true)]
    [InlineData("e\u0301", true)]
    [InlineData("ｕｓｅｒ", true)]
    [InlineData("uѕer", true)] // a Cyrillic letter
    [InlineData("😀", true)]
    [InlineData("a/b?c=d&e", true)]
    [InlineData("", false)]
    [InlineData("a\0b", false)]
    [InlineData("a\rb", false)]
    [InlineData("a\nb", false)]
    [InlineData("a\tb", false)]
    [InlineData("a\u001fb", false)]
    [InlineData("a\u007fb", false)]
    [InlineData("a\u0085b", false)]
    public void Form_TextWithoutControls_IsValid(string subject, bool valid) => Assert.Equal(valid, Subject.IsValid(subject));

    // Not as test data: half a pair does not survive the way through a test runner.
    [Fact]
    public void Form_HalfASurrogatePair_IsInvalid()
    {
        Assert.False(Subject.IsValid("a\ud800"));
        Assert.False(Subject.IsValid("\udc00a"));
        Assert.False(Subject.IsValid("\ude00\ud83d"));
    }

    [Fact]
    public void Length_InBytesOfUtf8_IsAtMost256()
    {
        Assert.True(Subject.IsValid(new string('a', 256)));
        Assert.False(Subject.IsValid(new string('a', 257)));
        Assert.True(Subject.IsValid(new string('é', 128)));
        Assert.False(Subject.IsValid(new string('é', 129)));
        Assert.True(Subject.IsValid(string.Concat(Enumerable.Repeat("😀", 64))));
        Assert.False(Subject.IsValid(string.Concat(Enumerable.Repeat("😀", 65))));
        Assert.False(Subject.IsValid(new string('a', 10_000)));
    }

    [Fact]
    public void Forms_OfOneName_StayDifferentThroughACredential()
    {
        string[] forms = ["josé", "jose\u0301", "JOSÉ", "ｊｏｓé", "josé ", " josé", "jоsé"];

        var read = forms.Select(form => Read(Forge.Issue(grant: Forge.Grant() with { Subject = form }))).ToList();

        Assert.Equal(forms, read);
        Assert.Equal(forms.Length, read.Distinct(StringComparer.Ordinal).Count());
    }

    private static string? Read(Credential credential)
    {
        Assert.False(CredentialVerifier.Verify(Forge.Ring, credential.Text, credential.Kind, Forge.Now).IsDenied(out _, out var verified));
        return verified.Grant.Subject;
    }
}
