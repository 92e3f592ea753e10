using System.Runtime.InteropServices;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;

namespace Mallku.Cli.Commands;

/// <summary>
/// The rotations of a vault and of a shared store, with every rotator that the command has. A program that a step runs ends with the command, also
/// where that is interrupted or told to end.
/// </summary>
internal sealed class OpenedRotations : IDisposable
{
    private readonly AdapterFactory _factory;
    private readonly AssistedRotator _assisted;

    // no signal may end the command between the start of a program and its being known
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private readonly CancellationTokenSource _ending = new();
    private readonly ManualResetEventSlim _rest = new(initialState: true);
    private readonly PosixSignalRegistration[] _signals;

    private OpenedRotations(AdapterFactory factory, SecretsManager secrets)
    {
        _factory = factory;
        _assisted = new AssistedRotator(factory, Ask);
        Runner = secrets.CreateRotationRunner(new OpenAIRotator(factory), new XaiRotator(factory), _assisted);
        Runner.Waits = Terminal.Channel.Error.IsTerminal ? Terminal.Notice.Warn : null;

        // the signal does what it always does when this returns
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
            .Select(signal => PosixSignalRegistration.Create(signal, _ => End()))];
    }

    /// <summary>What rotates each secret where it lives.</summary>
    internal RotationRunner Runner { get; }

    /// <exception cref="SecretsException">The file of the user's own providers can't be used.</exception>
    internal static async ValueTask<OpenedRotations> OpenAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = await invocation.OpenManagerAsync(cancellationToken);
        return new OpenedRotations(new AdapterFactory(secrets, await KnownProviders.LoadAsync(cancellationToken)), secrets);
    }

    /// <summary>Does what may run a program, until a signal ends the command.</summary>
    /// <param name="work">What is done.</param>
    /// <param name="wayOn">How to go on with what was begun, for who ends it.</param>
    internal async ValueTask<T> UntilEndedAsync<T>(Func<CancellationToken, ValueTask<T>> work, string wayOn)
    {
        _rest.Reset();
        try
        {
            return await work(_ending.Token);
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // the signal is about to end this process
            Terminal.Notice.Warn($"interrupted; what was begun is kept, see mallku list, and go on with it: {wayOn}");
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

    /// <summary>Says of a secret whose new keys nobody tries that it is so.</summary>
    internal void SayWhatIsNotTried(string name, RotationPolicy policy)
    {
        if (policy.Rotator == _assisted.Name && _assisted.FindProvider(name) is null)
        {
            var shown = SecretsException.Show(name);
            Terminal.Notice.Warn($"no provider is known whose key '{shown}' is, so that a new key of it is not tried: see that it works before the one before is gone (mallku rollback {shown})");
        }
    }

    private ValueTask<SecretValue> Ask(RotatedKey key, Uri? page, CancellationToken cancellationToken)
    {
        SayWhatIsNotTried(key.Secret, key.Policy);
        var name = SecretsException.Show(key.Secret);
        Terminal.Notice.Done(page is null ? $"make a new key for {name} at its provider" : $"make a new key for {name}: {page}");
        return new(GivenValue.Read($"the new key for {name} (not shown)"));
    }
}
