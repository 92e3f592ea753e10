using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Every use of a vault that must not be opened fails alike, says what to do, and changes nothing.</summary>
internal static class Refusal
{
    /// <summary>A value that is in the vaults of these tests, and that no error may show.</summary>
    public const string Canary = "sk-canary";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Requires it of reads and writes, and returns the problem and the remedy.</summary>
    public static Task<string> RequireAsync(TemporaryFolder folder) => RequireAsync(folder, folder.Options);

    public static async Task<string> RequireAsync(TemporaryFolder folder, SecretsOptions options)
    {
        using var value = SecretValue.FromString("not written");
        Func<SecretsManager, Task>[] uses =
        [
            async manager => await manager.GetAsync("a", Cancel),
            async manager => await manager.GetAsync("absent", Cancel),
            async manager => await manager.ListAsync(Cancel),
            async manager => await manager.SetAsync("a", value, cancellationToken: Cancel),
            async manager => await manager.RemoveAsync("a", Cancel),
            async manager => await VaultKeys.RotateAsync(manager.Vault, Cancel),
        ];
        return await RequireAsync(folder, options, uses);
    }

    public static async Task<string> RequireAsync(TemporaryFolder folder, SecretsOptions options, Func<SecretsManager, Task>[] uses)
    {
        var before = folder.Photograph();
        var said = "";
        foreach (var use in uses)
        {
            var error = await Assert.ThrowsAsync<VaultOpenException>(() => use(SecretsManager.Open(options)));
            Assert.NotEmpty(error.Remedy);
            said = $"{error.Problem} | {error.Remedy}";
            Assert.DoesNotContain(Canary, error.ToString(), StringComparison.Ordinal);
        }

        Assert.Equal(before, folder.Photograph());
        return said;
    }
}
