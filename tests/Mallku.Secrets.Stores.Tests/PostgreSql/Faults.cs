namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>What must hold for each error of a store, besides its own words.</summary>
internal static class Faults
{
    /// <summary>Waits for an error, in bounded time, in which nothing of the password is.</summary>
    internal static async Task<T> ExpectAsync<T>(Func<Task> call)
        where T : SecretsException
    {
        var fault = await Assert.ThrowsAsync<T>(() => call().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        var shown = fault + string.Concat(Inner(fault).SelectMany(static e => e.Data.Values.Cast<object?>()));
        Assert.Equal(-1, shown.IndexOf("canary", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(-1, shown.IndexOf("pässword", StringComparison.OrdinalIgnoreCase));
        return fault;
    }

    internal static Task<StoreUnreachableException> UnreachableAsync(Func<Task> call) => ExpectAsync<StoreUnreachableException>(call);

    private static IEnumerable<Exception> Inner(Exception? fault)
    {
        for (; fault is not null; fault = fault.InnerException)
        {
            yield return fault;
        }
    }
}
