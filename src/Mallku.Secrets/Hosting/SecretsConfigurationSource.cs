using Microsoft.Extensions.Configuration;

namespace Mallku.Secrets.Hosting;

/// <summary>Secrets as a source of configuration.</summary>
internal sealed class SecretsConfigurationSource(SecretsConfigurationOptions options, SecretsManager secrets) : IConfigurationSource
{
    public IConfigurationProvider Build(IConfigurationBuilder builder) => new SecretsConfigurationProvider(options, secrets.WithPurpose("configuration"));
}

/// <summary>
/// Holds the values of secrets as strings, and reads them again when the manager says that one may have changed: a look
/// costs two system calls, and nothing is read while nothing changed.
/// </summary>
internal sealed class SecretsConfigurationProvider(SecretsConfigurationOptions options, SecretsManager secrets) : ConfigurationProvider, IDisposable
{
    private const string Separator = "--";
    private readonly PeriodicTimer _looks = new(options.LookInterval, options.TimeProvider);
    private long _stamp;
    private bool _isLooking;

    /// <summary>Reads all of them. A configuration is built synchronously, so this waits.</summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    public override void Load()
    {
        ReadAsync().GetAwaiter().GetResult();
        if (!_isLooking)
        {
            _isLooking = true;
            _ = LookForChangesAsync();
        }
    }

    public void Dispose() => _looks.Dispose();

    private async Task LookForChangesAsync()
    {
        while (await _looks.WaitForNextTickAsync().ConfigureAwait(false))
        {
            try
            {
                if (secrets.GetChangeStamp() != _stamp && await ReadAsync().ConfigureAwait(false))
                {
                    OnReload();
                }
            }
            catch (SecretsException e)
            {
                Tell(e);
            }
            catch (Exception e)
            {
                // who follows may throw anything, and its text may quote a value
                var thrown = e is AggregateException several ? several.Flatten().InnerExceptions : (IReadOnlyList<Exception>)[e];
                var kinds = thrown.Select(static inner => inner.GetType().Name).Distinct(StringComparer.Ordinal);
                Tell(new SecretsException(
                    $"what follows the configuration failed at a change: {string.Join(", ", kinds)}", "mend it, or the value that it does not take"));
            }
        }
    }

    // nothing that is told of a failure may end the looks
    private void Tell(SecretsException error)
    {
        try
        {
            options.OnFailedLook?.Invoke(error);
        }
        catch (Exception)
        {
            // there is nobody else to tell
        }
    }

    /// <summary>Reads all of them; true where one is another one than before.</summary>
    private async Task<bool> ReadAsync()
    {
        // taken before: a change in between is seen by the next look
        var stamp = secrets.GetChangeStamp();
        var keys = options.Keys ?? (await secrets.ListAsync().ConfigureAwait(false))
            .DistinctBy(static secret => ToKey(secret.Name), StringComparer.OrdinalIgnoreCase)
            .ToDictionary(static secret => ToKey(secret.Name), static secret => secret.Name, StringComparer.OrdinalIgnoreCase);

        // at once, so that their entries in the ledger share a flush
        var values = await Task.WhenAll(keys.Select(pair => ReadAsync(pair.Key, pair.Value))).ConfigureAwait(false);
        var data = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in values)
        {
            if (value is not null)
            {
                data[key] = value;
            }
        }

        var isAnother = data.Count != Data.Count || data.Any(pair => !Data.TryGetValue(pair.Key, out var before) || before != pair.Value);
        Data = data;
        _stamp = stamp;
        return isAnother;
    }

    private async Task<(string Key, string? Value)> ReadAsync(string key, string name) =>
        (key, (await secrets.GetAsync(name).ConfigureAwait(false))?.RevealString());

    private static string ToKey(string name) => name.Replace(Separator, ConfigurationPath.KeyDelimiter, StringComparison.Ordinal);
}
