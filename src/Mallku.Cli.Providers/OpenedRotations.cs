using System.Runtime.InteropServices;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;

namespace Mallku.Cli.Commands;

/// <summary>
/// The rotations of a vault, with every rotator that the command has. A program that a step runs ends with the command, also
/// where that is interrupted or told to end.
/// </summary>
internal sealed class OpenedRotations : IDisposable
{
    private readonly AdapterFactory _factory;
    private readonly CancellationTokenSource _ending = new();
    private readonly PosixSignalRegistration[] _signals;

    private OpenedRotations(AdapterFactory factory, SecretsManager secrets)
    {
        _factory = factory;
        Runner = secrets.CreateRotationRunner(new OpenAIRotator(factory), new XaiRotator(factory), new AssistedRotator(factory, Ask));

        // what this cancels has ended when it returns; then the signal does what it always does
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
            .Select(signal => PosixSignalRegistration.Create(signal, _ => _ending.Cancel()))];
    }

    internal RotationRunner Runner { get; }

    /// <exception cref="SecretsException">The file of the user's own providers can't be used.</exception>
    internal static async ValueTask<OpenedRotations> OpenAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = invocation.OpenManager();
        return new OpenedRotations(new AdapterFactory(secrets, await KnownProviders.LoadAsync(cancellationToken)), secrets);
    }

    /// <summary>Does what may run a program, until a signal ends the command.</summary>
    internal async ValueTask<T> UntilEndedAsync<T>(Func<CancellationToken, ValueTask<T>> work)
    {
        try
        {
            return await work(_ending.Token);
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // nothing is left to say: the signal is about to end this process
            await Task.Delay(TimeSpan.FromSeconds(5));
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        _ending.Dispose();
        _factory.Dispose();
    }

    private static ValueTask<SecretValue> Ask(RotatedKey key, Uri? page, CancellationToken cancellationToken)
    {
        var name = SecretsException.Show(key.Secret);
        Terminal.Notice.Done(page is null ? $"make a new key for {name} at its provider" : $"make a new key for {name}: {page}");
        return new(GivenValue.Read($"the new key for {name} (not shown)"));
    }
}
