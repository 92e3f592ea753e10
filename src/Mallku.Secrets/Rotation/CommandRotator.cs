using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Rotation;

/// <summary>
/// Runs a program of the user's for each step. It is told the step and what it is about by its environment
/// (<c>MALLKU_ROTATION_STEP</c>, <c>_TOKEN</c>, <c>_SECRET</c>, <c>_VERSION</c>, <c>_VERSION_ID</c>, <c>_KEY_ID</c>), writes
/// the new value to standard output for <c>create</c>, and reads the value from standard input for <c>set</c>, <c>test</c>
/// and <c>revoke</c>. Its exit code decides; its standard error is this process's own.
/// </summary>
/// <param name="patience">How long a step may take; 5 minutes where nothing is said.</param>
public sealed class CommandRotator(TimeSpan? patience = null) : IRotator
{
    private const int LongestValue = 1 << 20;
    internal const string RotatorName = "command";
    private const string Create = "create", Prefix = "MALLKU_ROTATION_";
    internal const string VersionIdVariable = Prefix + "VERSION_ID";
    private static readonly TimeSpan ToEnd = TimeSpan.FromSeconds(5);
    private readonly TimeSpan _patience = patience ?? TimeSpan.FromMinutes(5);

    /// <inheritdoc/>
    public string Name => RotatorName;

    /// <inheritdoc/>
    public bool CanRevoke => true;

    /// <inheritdoc/>
    public bool NeedsPerson => false;

    /// <inheritdoc/>
    public void Require(RotatedKey current)
    {
        ArgumentNullException.ThrowIfNull(current);
        var policy = current.Policy;
        if (policy.Command is not [{ Length: > 0 }, ..])
        {
            throw new SecretsException("the rotator 'command' needs a command", "name it after '--': mallku rotate NAME -- COMMAND");
        }

        if (!Path.IsPathFullyQualified(policy.Command[0]))
        {
            throw new SecretsException(
                $"the program '{SecretsException.Show(policy.Command[0])}' is not named by its absolute path, and may be another one elsewhere",
                "say it again, and it is kept so: mallku rotate NAME --later -- COMMAND");
        }
    }

    /// <inheritdoc/>
    public async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        var bytes = await RunAsync(Create, key, value: null, cancellationToken).ConfigureAwait(false)
            ?? throw new SecretsException(
                $"{Describe(key)} ended at the step 'create', and a program that it left running holds its standard output, so that nobody can tell where the value ends",
                "let it redirect the standard output of what it leaves running: COMMAND > /dev/null &");
        try
        {
            var text = bytes.AsMemory();
            text = text.Span.EndsWith("\r\n"u8) ? text[..^2] : text.Span.EndsWith("\n"u8) ? text[..^1] : text;
            return text.Length is > 0 and <= LongestValue
                ? new NewKey(SecretValue.FromUtf8(text.Span))
                : throw new SecretsException($"{Describe(key)} wrote no value for the step 'create', or one of more than 1 MiB", "let it write the new value, and nothing else, to standard output");
        }
        catch (ArgumentException)
        {
            throw new SecretsException($"{Describe(key)} wrote no UTF-8 for the step 'create'", "let it write the new value, and nothing else, to standard output");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    /// <inheritdoc/>
    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => TellAsync("set", key, value, cancellationToken);

    /// <inheritdoc/>
    public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => TellAsync("test", key, value, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => TellAsync("discard", key, value: null, cancellationToken);

    /// <inheritdoc/>
    /// <remarks>A value that nobody has any more can't be handed over: the step is <c>discard</c> then, with the token.</remarks>
    public ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken) =>
        TellAsync(value is null ? "discard" : "revoke", key, value, cancellationToken);

    private async ValueTask TellAsync(string step, RotatedKey key, SecretValue? value, CancellationToken cancellationToken) =>
        CryptographicOperations.ZeroMemory(await RunAsync(step, key, value, cancellationToken).ConfigureAwait(false));

    // null where its output has no end
    private async ValueTask<byte[]?> RunAsync(string step, RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        Require(key);
        await StepProgram.RequireNoneLeftAsync(key, cancellationToken).ConfigureAwait(false);
        using var process = Start(step, key);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        // at once, within the call that cancels: this process may be about to end
        using var ending = limit.Token.UnsafeRegister(static state => Kill((Process)state!), process);
        limit.CancelAfter(_patience);

        // written and read at once, since either may have to wait for the other
        using var streams = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        var writing = WriteAsync(process, value, streams.Token);
        var reading = ReadAsync(process.StandardOutput.BaseStream, streams.Token);
        try
        {
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await writing.ConfigureAwait(false);
            CryptographicOperations.ZeroMemory(await reading.ConfigureAwait(false));
            await AwaitEndAsync(process).ConfigureAwait(false);
            throw Ended();
        }

        // what it leaves running may hold them for ever
        streams.CancelAfter(step == Create ? ToEnd : TimeSpan.Zero);
        await writing.ConfigureAwait(false);
        var output = await reading.ConfigureAwait(false);
        if (process.ExitCode != 0)
        {
            CryptographicOperations.ZeroMemory(output);

            // it may have been ended before anybody waited for it
            throw limit.IsCancellationRequested ? Ended() : new SecretsException(
                string.Create(CultureInfo.InvariantCulture, $"{Describe(key)} ended with {process.ExitCode} for the step '{step}'"),
                "see what it says on standard error");
        }

        return output;

        Exception Ended() => cancellationToken.IsCancellationRequested
            ? new OperationCanceledException(cancellationToken)
            : new SecretsException(
                string.Create(CultureInfo.InvariantCulture, $"{Describe(key)} took more than {_patience.TotalSeconds:0} s for the step '{step}', and was ended"),
                "see why it waits: its standard input is no terminal");
    }

    private static Process Start(string step, RotatedKey key)
    {
        var start = new ProcessStartInfo(key.Policy.Command[0], key.Policy.Command.Skip(1))
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };

        // it gets one value, and not the key to all of them
        OwnVariables.Withhold(start.Environment);
        start.Environment[Prefix + "STEP"] = step;
        start.Environment[Prefix + "TOKEN"] = key.Token ?? "";
        start.Environment[Prefix + "SECRET"] = key.Secret;
        start.Environment[Prefix + "VERSION"] = key.Version.ToString(CultureInfo.InvariantCulture);
        start.Environment[VersionIdVariable] = key.VersionId;
        start.Environment[Prefix + "KEY_ID"] = key.KeyId ?? "";
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new SecretsException($"{Describe(key)} can't be started: {e.Message}", "check its name, its path and that it may be executed", e);
        }
    }

    private static async Task WriteAsync(Process process, SecretValue? value, CancellationToken cancellationToken)
    {
        var bytes = value?.RevealUtf8() ?? [];
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
            process.StandardInput.Close();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // it need not read what it does not want: its exit code decides
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    // no further than what shows that it is too long; the rest is let go, so that the program can end. Null where it does not.
    private static async Task<byte[]?> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        const int newline = 2;
        var buffer = SecretValue.Allocate(4096);
        var length = 0;
        try
        {
            while (await stream.ReadAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false) is var count and > 0)
            {
                length = Math.Min(length + count, LongestValue + newline);
                if (length == buffer.Length)
                {
                    var larger = SecretValue.Allocate(2 * length);
                    buffer.CopyTo(larger, 0);
                    CryptographicOperations.ZeroMemory(buffer);
                    buffer = larger;
                }
            }

            var read = SecretValue.Allocate(length);
            buffer.AsSpan(0, length).CopyTo(read);
            return read;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
        }
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException)
        {
            // it has ended meanwhile
        }
    }

    // who is killed may still hold what he was about to change, and only for a moment
    private static async Task AwaitEndAsync(Process process)
    {
        using var limit = new CancellationTokenSource(ToEnd);
        try
        {
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // the next step looks for it
        }
    }

    // its arguments may hold anything
    private static string Describe(RotatedKey key) => $"'{SecretsException.Show(Path.GetFileName(key.Policy.Command[0]))}'";
}
