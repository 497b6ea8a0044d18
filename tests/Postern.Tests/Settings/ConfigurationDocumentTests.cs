using Postern.Server.Settings;

namespace Postern.Tests.Settings;

public sealed class ConfigurationDocumentTests
{
    [Fact]
    public void Document_InTheTree_IsCurrent() => Assert.Equal(ConfigurationDocument.Write(), SourceTree.Read("docs/configuration.md"));
}
