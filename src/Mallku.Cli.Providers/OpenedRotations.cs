using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;

namespace Mallku.Cli.Commands;

/// <summary>The rotations of a vault, with every rotator that the command has.</summary>
internal sealed class OpenedRotations : IDisposable
{
    private readonly AdapterFactory _factory;

    private OpenedRotations(AdapterFactory factory, SecretsManager secrets)
    {
        _factory = factory;
        Runner = secrets.CreateRotationRunner(new OpenAIRotator(factory), new AssistedRotator(factory, Ask));
    }

    internal RotationRunner Runner { get; }

    /// <exception cref="SecretsException">The file of the user's own providers can't be used.</exception>
    internal static async ValueTask<OpenedRotations> OpenAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = invocation.OpenManager();
        return new OpenedRotations(new AdapterFactory(secrets, await KnownProviders.LoadAsync(cancellationToken)), secrets);
    }

    public void Dispose() => _factory.Dispose();

    private static ValueTask<SecretValue> Ask(RotatedKey key, Uri? page, CancellationToken cancellationToken)
    {
        var name = SecretsException.Show(key.Secret);
        Terminal.Notice.Done(page is null ? $"make a new key for {name} at its provider" : $"make a new key for {name}: {page}");
        return new(GivenValue.Read($"the new key for {name} (not shown)"));
    }
}
