using System.Text;
using Postern.Core;

namespace Postern.Tests.Credentials;

/// <summary>nst/JSONTestSuite through every place of a credential where JSON stands: a wrong reading is a refusal, never an exception.</summary>
[Trait("attack", "A12")]
[Trait("attack", "A18")]
public sealed class JsonSuiteTests
{
    // Legal JSON that we refuse on purpose: what one reader takes as the first member another takes as the last.
    private static readonly string[] RefusedOnPurpose = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

    [Fact]
    public void Header_AnyFile_IsRefused() // none of them names our algorithm
    {
        Assert.Equal(318 + 22, Each((bytes, file) =>
        {
            Assert.False(Forge.Accepts(Forge.Jws(bytes, "{}"u8)), file);
            Assert.NotNull(Forge.Verdict("psu_" + Forge.Jws(bytes, Encoding.UTF8.GetBytes(Forge.HonestClaims))));
        }));
    }

    [Fact]
    public void Header_MemberWithAnyFileAsValue_AcceptsWhatIsValidJsonOnly()
    {
        var accepted = new List<string>();
        Each((bytes, file) =>
        {
            byte[] header = [.. """{"alg":"HS256","kid":"key-1","other":"""u8, .. bytes, .. "}"u8];
            if (Forge.Accepts(Forge.Jws(header, "{}"u8)))
            {
                accepted.Add(Path.GetFileName(file));
            }
        });

        Assert.DoesNotContain(accepted, file => file.StartsWith("n_", StringComparison.Ordinal) && file != "n_structure_trailing_#.json");
        Assert.DoesNotContain(accepted, RefusedOnPurpose.Contains);
        Assert.Equal(93, accepted.Count(file => file.StartsWith("y_", StringComparison.Ordinal)));
    }

    [Fact]
    public void Claims_AnyFile_IsRefusedAsMalformed()
    {
        Assert.Equal(318 + 22, Each((bytes, file) =>
        {
            var text = "psu_" + Forge.Jws(Encoding.UTF8.GetBytes(Forge.HonestHeader), bytes);
            Assert.True(Forge.Verdict(text) == DenialReason.CredentialMalformed, file);
        }));
    }

    [Fact]
    public void Claims_MemberWithAnyFileAsValue_IsRefused() // an unknown member, whatever it holds, and each known one with a wrong value
    {
        Each((bytes, file) =>
        {
            foreach (var member in new[] { "other", "exp", "org", "use", "agt" })
            {
                byte[] claims = [.. Encoding.UTF8.GetBytes($$"""{"jti":"id","prj":"default","iat":1,"{{member}}":"""), .. bytes, .. "}"u8];
                Assert.NotNull(Forge.Verdict("psu_" + Forge.Jws(Encoding.UTF8.GetBytes(Forge.HonestHeader), claims)));
            }
        });
    }

    [Fact]
    public void StrictDocument_AllFiles_AreReadAsSaid()
    {
        var (accepted, refused) = (0, 0);
        foreach (var file in Corpora.Files("jsontestsuite/test_parsing"))
        {
            var (bytes, name) = (Corpora.Read(file), Path.GetFileName(file));
            var valid = IsStrict(bytes);
            if (name[0] == 'y')
            {
                Assert.True(valid != RefusedOnPurpose.Contains(name), name);
                accepted += valid ? 1 : 0;
            }
            else if (name[0] == 'n')
            {
                Assert.False(valid, name);
                refused++;
            }
        }

        Assert.Equal((93, 188), (accepted, refused));
    }

    private static bool IsStrict(byte[] bytes)
    {
        try
        {
            System.Text.Json.JsonDocument.Parse(bytes, StrictJson.Document).Dispose();
            return true;
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return false;
        }
    }

    private static int Each(Action<byte[], string> check)
    {
        var files = Corpora.Files("jsontestsuite/test_parsing").Concat(Corpora.Files("jsontestsuite/test_transform")).ToList();
        files.ForEach(file => check(Corpora.Read(file), file));
        return files.Count;
    }
}
