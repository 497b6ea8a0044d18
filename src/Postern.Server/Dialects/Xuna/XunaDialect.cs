using Postern.Core.Agents;
using Postern.Server.Dialects.ElevenLabs;

namespace Postern.Server.Dialects.Xuna;

/// <summary>
/// XUNA's wire is ElevenLabs' but for what a credential is: its URL names the parameter <c>token</c>, waits a shorter time and opens
/// one conversation. The routes are shared; which of the two is spoken is a property of the agent.
/// </summary>
internal sealed class XunaDialect : ElevenLabsDialect
{
    public override string Name => "xuna";

    public override IReadOnlyList<MintRoute> Mints => [];

    public override IReadOnlyList<string> Conversations => [];

    public override bool PublicMustBeSaid => true;

    protected override string CredentialParameter => "token";

    public override CredentialDefaults Credentials(PosternOptions options) => new(options.SignedUrls.XunaStartWithin, SingleUse: true);
}
