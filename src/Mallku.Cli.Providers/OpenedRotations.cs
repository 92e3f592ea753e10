using System.Runtime.InteropServices;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

/// <summary>
/// The rotations of a vault and of a shared store, with every rotator that the command has. A program that a step runs ends with the command, also
/// where that is interrupted or told to end.
/// </summary>
internal sealed class OpenedRotations : IDisposable
{
    private readonly AdapterFactory _factory;
    private readonly SecretsManager _secrets;
    private readonly IRotator[] _rotators;
    // no signal may end the command between the start of a program and its being known
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private readonly CancellationTokenSource _ending = new();
    private readonly ManualResetEventSlim _rest = new(initialState: true);
    private readonly PosixSignalRegistration[] _signals;

    private OpenedRotations(AdapterFactory factory, SecretsManager secrets)
    {
        _factory = factory;
        _secrets = secrets;
        _rotators = [new OpenAIRotator(factory), new XaiRotator(factory), new AssistedRotator(factory, Ask)];

        // the signal does what it always does when this returns
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
            .Select(signal => PosixSignalRegistration.Create(signal, _ => End()))];
    }

    /// <summary>What rotates in each place, in the order of a lookup.</summary>
    internal IEnumerable<RotationRunner> Runners => Places.Of(_secrets).Select(Of);

    /// <summary>What rotates where a secret lives, else where it lived.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal async ValueTask<RotationRunner> FindAsync(string name, CancellationToken cancellationToken)
    {
        var places = Places.Of(_secrets).ToList();
        if (places is [var only])
        {
            return Of(only);
        }

        var existing = SecretName.Existing(name);
        ISecretStore? former = null;
        foreach (var place in places)
        {
            var found = await place.FindAsync(existing, cancellationToken);
            if (found is { Record.Current: not null })
            {
                return Of(place);
            }

            former ??= found is null ? null : place;
        }

        // who has it nowhere is told of the last of them
        return Of(former ?? places[^1]);
    }

    private RotationRunner Of(ISecretStore place) => new(place, _rotators);

    /// <exception cref="SecretsException">The file of the user's own providers can't be used.</exception>
    internal static async ValueTask<OpenedRotations> OpenAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = await invocation.OpenManagerAsync(cancellationToken);
        return new OpenedRotations(new AdapterFactory(secrets, await KnownProviders.LoadAsync(cancellationToken)), secrets);
    }

    /// <summary>Does what may run a program, until a signal ends the command.</summary>
    internal async ValueTask<T> UntilEndedAsync<T>(Func<CancellationToken, ValueTask<T>> work)
    {
        _rest.Reset();
        try
        {
            return await work(_ending.Token);
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // nothing is left to say: the signal is about to end this process
            _rest.Set();
            await Task.Delay(Patience);
            throw;
        }
        finally
        {
            _rest.Set();
        }
    }

    public void Dispose()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        _ending.Dispose();
        _rest.Dispose();
        _factory.Dispose();
    }

    private void End()
    {
        _ending.Cancel();
        _rest.Wait(Patience);
    }

    private static ValueTask<SecretValue> Ask(RotatedKey key, Uri? page, CancellationToken cancellationToken)
    {
        var name = SecretsException.Show(key.Secret);
        Terminal.Notice.Done(page is null ? $"make a new key for {name} at its provider" : $"make a new key for {name}: {page}");
        return new(GivenValue.Read($"the new key for {name} (not shown)"));
    }
}
