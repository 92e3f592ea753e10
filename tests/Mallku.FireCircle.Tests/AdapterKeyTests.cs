using Mallku.Secrets.Sources;

namespace Mallku.FireCircle.Tests;

/// <summary>What the manager is asked for when an adapter needs its key.</summary>
public sealed class AdapterKeyTests
{
    [Fact]
    public async Task A_key_is_handed_out_once_for_each_request_also_when_its_source_changes_while_it_is_asked_for()
    {
        var source = new ChangingSource();
        var secrets = new SecretsManager([source]);
        var key = new AdapterKey(secrets, ProviderCatalogue.BuiltIn, ProviderCatalogue.BuiltIn.Find("openai"), new AdapterOptions());
        await key.GetAsync(Stage.Cancel);
        await key.GetAsync(Stage.Cancel);
        source.LooksUntilChange = 1;
        Assert.NotNull(await key.GetAsync(Stage.Cancel));
        Assert.Equal(3, Assert.Single(secrets.GetAccessCounts()).Count);
    }

    /// <summary>A source that changes after some more looks at it.</summary>
    private sealed class ChangingSource : ISecretSource
    {
        private readonly SecretValue _value = SecretValue.FromString(Stage.NewKey());

        internal int? LooksUntilChange { get; set; }

        public string Name => "changing";

        public long GetChangeStamp(long now) => LooksUntilChange is null ? 0 : LooksUntilChange-- > 0 ? 0 : 1;

        public string DescribeLookup(SecretName name) => name.ToString();

        public async ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken)
        {
            await Task.Yield();
            return new FoundSecret(name.ToString(), _value, Name, Version: null, Created: null);
        }

        public ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName name, CancellationToken cancellationToken) => new([]);

        public ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken) => new([]);

        public ValueTask RefreshAsync(CancellationToken cancellationToken) => default;
    }
}
