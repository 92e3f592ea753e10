using Mallku.Secrets.Storage;
using Mallku.Secrets.Tests.Vault;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>The contract over a vault in a folder, which other programs write too.</summary>
public sealed class FileVaultStoreTests : RotationContract
{
    internal override async Task<StorePlace> CreateAsync(TimeProvider clock) => await VaultPlace.CreateAsync(clock);

    [Fact]
    public async Task Two_names_that_match_loosely_are_an_error_that_lists_them()
    {
        await using var place = await VaultPlace.CreateAsync(Clock);
        Plaintext.Write(place.Folder, """{"my-key":"one","MY_KEY":"two"}""", Clock);
        var store = place.OpenStore();
        Func<Task>[] asks =
        [
            async () => await store.FindAsync(SecretName.Parse("My_Key"), Token),
            async () => await SetAsync(store, "My_Key", "three"),
            async () => await store.RemoveAsync(SecretName.Parse("My_Key"), Token),
            async () => await store.GetHistoryAsync(SecretName.Parse("My_Key"), Token),
        ];
        foreach (var ask in asks)
        {
            var error = await Assert.ThrowsAsync<AmbiguousSecretNameException>(ask);
            Assert.Contains("MY_KEY or my-key", error.Problem, StringComparison.Ordinal);
        }

        // exactly, each is itself
        Assert.Equal(("one", "two"), (await ReadAsync(store, "my-key"), await ReadAsync(store, "MY_KEY")));
        await store.RemoveAsync(SecretName.Parse("MY_KEY"), Token);
        Assert.Equal("my-key", (await SetAsync(store, "My_Key", "three")).Name);
        await store.ChangeAsync("MY_KEY", static edit => edit.Record.Removed, Token);
        Assert.NotNull((await store.ReadAsync("MY_KEY", Token))!.Record.Removed);
    }
}
