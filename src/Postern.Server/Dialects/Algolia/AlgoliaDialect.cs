using Postern.Core;

namespace Postern.Server.Dialects.Algolia;

/// <summary>Algolia Agent Studio: an API key that a page may have, user tokens that the customer's backend signs, and completions.</summary>
internal sealed class AlgoliaDialect : HttpDialect
{
    public const string Tag = "algolia";

    public override string Name => Tag;

    public override IReadOnlyList<MintRoute> Mints => [];

    public override IReadOnlyList<CompletionRoute> Completions =>
        [new("/agent-studio/1/agents/{id}/completions", CompletionForm.Connect, CompletionForm.Read, Refusals.Answer)];

    public override IReadOnlyList<string> CredentialHeaders => [AlgoliaAccess.KeyName];

    /// <summary>What a secret key's value starts with.</summary>
    public const string SecretPrefix = "sk-alg-";

    /// <summary>The answer to a personal access token.</summary>
    public static HttpAnswer Misplaced => Wire.Error(403, "A personal access token cannot be used for this endpoint.");

    public override HttpAnswer Write(Minted minted) => throw new InvalidOperationException("Nothing is minted in this dialect: user tokens are the customer's own.");

    public override HttpAnswer Refuse(Denial denial) => Refusals.Answer(denial);
}
