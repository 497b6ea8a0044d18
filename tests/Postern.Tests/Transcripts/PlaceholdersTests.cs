namespace Postern.Tests.Transcripts;

public class PlaceholdersTests
{
    [Theory]
    [InlineData("""{"a":1}""", """{"a":1}""", null)]
    [InlineData("""{"a":1,"b":[true,null]}""", """{"b":[true,null],"a":1}""", null)]
    [InlineData("""{"a":"{{*:\\d+}}"}""", """{"a":17}""", null)]
    [InlineData("""{"a":"{{x}}","b":"{{x}}"}""", """{"a":"one","b":"one"}""", null)]
    [InlineData("""{"a":"{{known}}"}""", """{"a":"value"}""", null)]
    [InlineData("""{"a":"{{known}}"}""", """{"a":"other"}""", "$.a")]
    [InlineData("""{"a":"{{*:\\d+}}"}""", """{"a":"17x"}""", "$.a")]
    [InlineData("""{"a":1}""", """{"a":1.0}""", "$.a")]
    [InlineData("""{"a":1}""", """{"a":"1"}""", "$.a")]
    [InlineData("""{"a":1}""", """{"a":1,"b":2}""", "$.b: unexpected")]
    [InlineData("""{"a":1,"b":2}""", """{"a":1}""", "$.b: missing")]
    [InlineData("""{"a":[1,2]}""", """{"a":[1]}""", "$.a")]
    [InlineData("""{"a":[1,{"b":2}]}""", """{"a":[1,{"b":3}]}""", "$.a[1].b")]
    [InlineData("""{"a":1}""", "not json", "no JSON")]
    [InlineData("""{"a":1}""", "", "no JSON")]
    [InlineData("", "something", "expected")]
    [InlineData("null", "null", null)]
    [InlineData("null", "", "expected")]
    public void Bodies_Compared_DifferWhereTheyDo(string expected, string actual, string? difference)
    {
        var found = new Placeholders { ["known"] = "value" }.Compare(expected, actual);

        if (difference is null)
        {
            Assert.Null(found);
        }
        else
        {
            Assert.StartsWith(difference, found, StringComparison.Ordinal);
        }
    }
}
