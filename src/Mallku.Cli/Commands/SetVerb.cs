using System.Buffers.Text;
using System.CommandLine;
using System.Security.Cryptography;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

internal sealed class SetVerb : Verb
{
    private const int GeneratedBytes = 32;

    private readonly Argument<string> _name = new("NAME") { Description = "the secret" };
    private readonly Option<bool> _generate = new("--generate") { Description = "make a random value of 43 characters; it is not shown" };
    private readonly Option<bool> _allowEmpty = new("--allow-empty") { Description = "let the value be empty" };
    private readonly Option<int?> _keep = new("--keep") { HelpName = "N", Description = "from now on keep N versions of each secret in this vault or store; 10 at first" };
    private readonly Option<string?> _grace = new("--grace") { HelpName = "T", Description = "how long the version before may still be used, such as 1h; it is not, at first" };

    private readonly Option<string?> _to = new("--to") { HelpName = "PLACE", Description = "vault or store; where the secret lives now, and a new one in the store where one is named" };

    internal SetVerb() => Understand(_name, _generate, _allowEmpty, _keep, _grace, _to);

    internal override string? Notes =>
        "The value is asked for at a terminal and not shown. In a pipe it is all of standard input, without the newline at its end. "
        + "It is never an argument: others could read it in the list of processes and in the shell's history.";

    internal override string[] Examples =>
    [
        "mallku set openai_api_key",
        "pass show openai | mallku set openai_api_key",
        "mallku set service_account < account.json",
        "mallku set session_key --generate",
        "mallku set local_key --to vault",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var given = invocation.Parsed.GetRequiredValue(_name);
        if (!SecretName.TryParse(given, out var name))
        {
            // it may be NAME=VALUE: not to be repeated
            throw new UsageException("that is no name for a secret", "use 1 to 255 ASCII letters, digits, '.', '_' and '-', and no value");
        }

        if (SecretName.MayBeValue(given) && await SecretHome.FindAsync((await invocation.OpenManagerAsync(cancellationToken)).Stores, name, cancellationToken) is null)
        {
            throw new UsageException(
                "that text looks like a value, and no secret has it for a name", "name the secret such as openai_api_key, and pipe its value in or type it when you are asked");
        }

        var generate = invocation.Parsed.GetValue(_generate);
        var setting = new SetOptions
        {
            AllowEmpty = invocation.Parsed.GetValue(_allowEmpty),
            Source = generate ? "generate" : "set",
            Grace = invocation.Parsed.GetValue(_grace) is { } grace ? Duration.ParseGrace(grace) : TimeSpan.Zero,
            Into = Places.Parse(invocation.Parsed.GetValue(_to), invocation),
        };
        var keep = invocation.Parsed.GetValue(_keep);
        if (keep is < SecretFormat.FewestKept or > SecretFormat.MostKept)
        {
            throw new UsageException($"--keep is a number from {SecretFormat.FewestKept} to {SecretFormat.MostKept}", "write it as: mallku set NAME --keep 20");
        }

        var manager = await (invocation with { Options = invocation.Options with { KeepVersions = keep } }).OpenManagerAsync(cancellationToken);
        using var value = generate ? Generate() : GivenValue.Read($"value of {name} (not shown)");
        var change = await manager.SetAsync(given, value, setting, cancellationToken);
        Changes.Say(given, change);
        await Changes.SayKeysLeftAsync(manager, change, cancellationToken);
        await Changes.SayEnvironmentAsync(change.Name, cancellationToken);
        return ExitCode.Done;
    }

    private static SecretValue Generate()
    {
        Span<byte> random = stackalloc byte[GeneratedBytes];
        Span<byte> text = stackalloc byte[Base64Url.GetEncodedLength(GeneratedBytes)];
        RandomNumberGenerator.Fill(random);
        Base64Url.EncodeToUtf8(random, text);
        var value = SecretValue.FromUtf8(text);
        CryptographicOperations.ZeroMemory(random);
        CryptographicOperations.ZeroMemory(text);
        return value;
    }
}
