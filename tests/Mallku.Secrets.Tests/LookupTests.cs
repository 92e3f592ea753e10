using Mallku.Secrets.Sources;

namespace Mallku.Secrets.Tests;

public sealed class LookupTests : IDisposable
{
    private const string Variable = "TEST_LOOKUP_KEY";
    private const string Name = "test_lookup_key";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Environment.SetEnvironmentVariable(Variable, null);

    [Fact]
    public async Task The_environment_wins_over_the_vault_and_list_and_explain_say_so()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync(Name, "from the vault");
        Environment.SetEnvironmentVariable(Variable, "from the environment");
        var manager = folder.Open();

        var found = await manager.FindAsync(Name, Cancel);
        Assert.Equal(("from the environment", "environment"), (found!.Value.RevealString(), found.Source));
        Assert.Null(found.Version);
        var facts = Assert.Single(await manager.ListAsync(Cancel));
        Assert.Equal(("environment", "vault"), (facts.Source, Assert.Single(facts.Shadowed)));
        var explanation = await manager.ExplainAsync(Name, Cancel);
        Assert.Equal([SourceOutcome.Found, SourceOutcome.Found], explanation.Answers.Select(answer => answer.Outcome));
        Assert.Equal(0, explanation.Winner);

        Environment.SetEnvironmentVariable(Variable, null);
        await manager.RefreshAsync(Cancel);
        found = await manager.FindAsync(Name, Cancel);
        Assert.Equal(("from the vault", "vault", 1), (found!.Value.RevealString(), found.Source, found.Version));
    }

    [Fact]
    public async Task An_exact_name_comes_before_a_loose_one_and_a_loose_one_is_found()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("my-key", "hyphen");
        Assert.Equal("hyphen", await folder.GetAsync("MY_KEY"));
        // only Python can put the second spelling there: a set of it updates the first
        var change = await folder.SetAsync("My_Key", "updated");
        Assert.Equal(("my-key", 2), (change.Name, change.Version));
    }

    [Fact]
    public async Task A_loose_match_in_an_earlier_source_does_not_hide_an_exact_one_in_a_later()
    {
        var manager = new SecretsManager([new FixedSource("first", ("My-Key", "loose")), new FixedSource("second", ("my_key", "exact"))]);
        Assert.Equal("exact", (await manager.GetRequiredAsync("my_key", Cancel)).RevealString());
        Assert.Equal("loose", (await manager.GetRequiredAsync("My-Key", Cancel)).RevealString());
    }

    [Fact]
    public async Task Two_loose_matches_are_an_error_that_lists_them()
    {
        var manager = new SecretsManager([new FixedSource("first", ("My-Key", "a")), new FixedSource("second", ("my-key", "b"))]);
        var error = await Assert.ThrowsAsync<AmbiguousSecretNameException>(async () => await manager.GetAsync("MY_KEY", Cancel));
        Assert.Equal(["My-Key", "my-key"], error.Matches);
        Assert.Contains("My-Key", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_several_names_an_exact_match_comes_before_a_loose_one_and_then_the_earlier_name()
    {
        var manager = new SecretsManager([new FixedSource("first", ("C-Key", "loose")), new FixedSource("second", ("a_key", "exact a"), ("b_key", "exact b"))]);
        Assert.Equal("exact b", (await manager.FindFirstAsync(["c_key", "b_key", "a_key"], Cancel))!.Value.RevealString());
        Assert.Equal("C-Key", (await manager.FindFirstAsync(["none", "c_key"], Cancel))!.Name);
        Assert.Null(await manager.FindFirstAsync(["none", "nobody"], Cancel));
        await Assert.ThrowsAsync<SecretNameException>(async () => await manager.FindFirstAsync(["a_key", "no/name"], Cancel));
    }

    [Fact]
    public async Task The_live_versions_are_those_after_a_fresh_look_with_the_current_one_first()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync(Name, "one");
        var manager = folder.Open();
        Assert.Equal(["one"], (await manager.FindLiveAsync(Name, Cancel)).Select(found => found.Value.RevealString()).ToList());
        var stamp = manager.GetChangeStamp();

        await folder.SetAsync(Name, "two");
        using (var three = SecretValue.FromString("three"))
        {
            await folder.Open().SetAsync(Name, three, new SetOptions { Grace = TimeSpan.FromHours(1) }, Cancel);
        }

        Assert.Equal(["three", "two"], (await manager.FindLiveAsync(Name, Cancel)).Select(found => found.Value.RevealString()).ToList());
        Assert.NotEqual(stamp, manager.GetChangeStamp());
        Assert.Empty(await manager.FindLiveAsync("nobody", Cancel));

        Environment.SetEnvironmentVariable(Variable, "from the environment");
        Assert.Equal("environment", Assert.Single(await manager.FindLiveAsync(Name, Cancel)).Source);
    }

    [Fact]
    public async Task A_source_that_fails_is_an_error_and_never_falls_through_to_an_older_value()
    {
        var fault = new SecretsException("the first source is down", "start it");
        var manager = new SecretsManager([new FixedSource("first") { Fault = fault }, new FixedSource("second", ("key", "old"))]);
        Assert.Same(fault, await Assert.ThrowsAsync<SecretsException>(async () => await manager.GetAsync("key", Cancel)));
        Assert.Same(fault, await Assert.ThrowsAsync<SecretsException>(async () => await manager.ListAsync(Cancel)));
        var explanation = await manager.ExplainAsync("key", Cancel);
        Assert.Equal([SourceOutcome.Failed, SourceOutcome.Found], explanation.Answers.Select(answer => answer.Outcome));
        Assert.Null(explanation.Winner);
        Assert.Same(fault, explanation.Error);
    }

    [Fact]
    public async Task A_value_that_is_known_is_not_used_once_its_source_has_failed()
    {
        var source = new FixedSource("only", ("key", "value"));
        var manager = new SecretsManager([source]);
        await manager.GetRequiredAsync("key", Cancel);
        source.Fault = new SecretsException("down", "start it");
        source.Stamp++;
        await Assert.ThrowsAsync<SecretsException>(async () => await manager.GetAsync("key", Cancel));
    }

    [Fact]
    public async Task What_is_not_there_is_null_or_the_default_or_an_error_that_says_where_it_was_looked_for()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        using var fallback = SecretValue.FromString("default");
        var manager = folder.Open();
        Assert.Null(await manager.GetAsync(Name, Cancel));
        Assert.Same(fallback, await manager.GetOrDefaultAsync(Name, fallback, Cancel));
        var error = await Assert.ThrowsAsync<SecretNotFoundException>(async () => await manager.GetRequiredAsync(Name, Cancel));
        Assert.Contains(Variable, error.Problem, StringComparison.Ordinal);
        Assert.Contains(folder.Vault, error.Problem, StringComparison.Ordinal);
        Assert.Contains("mallku set", error.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_that_no_secret_can_have_is_an_error_and_not_an_absence()
    {
        var manager = new SecretsManager([new FixedSource("only")]);
        await Assert.ThrowsAsync<SecretNameException>(async () => await manager.GetAsync("no/name", Cancel));
    }

    [Fact]
    public async Task A_known_value_is_found_again_without_an_allocation()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync(Name, "value");
        var manager = folder.Open();
        await manager.GetRequiredAsync(Name, Cancel);

        // The environment is read again every 100 ms, which may allocate: of many short spans most have no such look.
        var spansWithout = 0;
        for (var span = 0; span < 100; span++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
            {
                var task = manager.GetAsync(Name, Cancel);
                Assert.True(task.IsCompletedSuccessfully);
            }

            spansWithout += GC.GetAllocatedBytesForCurrentThread() == before ? 1 : 0;
        }

        Assert.InRange(spansWithout, 90, 100);
    }

    [Fact]
    public async Task Counts_are_exact_under_concurrency_and_outlive_a_change()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync(Name, "one");
        var manager = folder.Open();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(
            async () =>
            {
                for (var i = 0; i < 5000; i++)
                {
                    await manager.GetRequiredAsync(Name, Cancel);
                }
            },
            Cancel)));
        await folder.SetAsync(Name, "two");
        await manager.RefreshAsync(Cancel);
        await manager.GetRequiredAsync(Name, Cancel);
        Assert.Equal([(1, 40_000L), (2, 1L)], manager.GetAccessCounts().Select(access => (access.Version!.Value, access.Count)));
    }

    [Fact]
    public async Task A_reader_keeps_the_value_that_it_has_when_another_replaces_it()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync(Name, "one");
        var manager = folder.Open();
        var held = await manager.GetRequiredAsync(Name, Cancel);
        using (var next = SecretValue.FromString("two"))
        {
            await manager.SetAsync(Name, next, cancellationToken: Cancel);
        }

        Assert.Equal("two", (await manager.GetRequiredAsync(Name, Cancel)).RevealString());
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal("one", held.RevealString());
    }

    [Fact]
    public async Task A_cancelled_lookup_ends_with_its_cancellation()
    {
        var manager = new SecretsManager([new FixedSource("only", ("key", "value"))]);
        await manager.GetRequiredAsync("key", Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await manager.GetAsync("key", new CancellationToken(canceled: true)));
    }

    /// <summary>A third source, as a user of the library may write one.</summary>
    private sealed class FixedSource(string name, params (string Name, string Value)[] secrets) : ISecretSource
    {
        public string Name => name;

        public SecretsException? Fault { get; set; }

        public long Stamp { get; set; }

        public string DescribeLookup(SecretName secret) => name;

        public long GetChangeStamp(long now) => Stamp;

        public ValueTask<FoundSecret?> FindAsync(SecretName secret, CancellationToken cancellationToken)
        {
            ThrowIfFaulty();
            foreach (var (known, value) in secrets)
            {
                if (known == secret.ToString())
                {
                    return new(new FoundSecret(known, SecretValue.FromString(value), name, Version: null, Created: null));
                }
            }

            return new((FoundSecret?)null);
        }

        public ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName secret, CancellationToken cancellationToken)
        {
            ThrowIfFaulty();
            return new([.. secrets.Select(known => known.Name).Where(known => SecretName.Parse(known).MatchesLoosely(secret))]);
        }

        public ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken)
        {
            ThrowIfFaulty();
            return new([.. secrets.Select(known => new SecretFacts(known.Name, name, Version: null, Created: null, []))]);
        }

        public ValueTask RefreshAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        private void ThrowIfFaulty()
        {
            if (Fault is not null)
            {
                throw Fault;
            }
        }
    }
}
