using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Mallku.Secrets.Files;

/// <summary>
/// The right to write in a folder: <c>flock</c> on a lock file that is never unlinked. It ends with the process, and
/// holds off other writers of the same process too, since each opens the file anew.
/// </summary>
internal sealed class FolderLock : IDisposable, IAsyncDisposable
{
    internal static readonly TimeSpan DefaultPatience = TimeSpan.FromSeconds(10);
    internal static readonly TimeSpan DiskPatience = TimeSpan.FromSeconds(5);
    private const string Refused = "nothing was changed";
    private static readonly TimeSpan Newcomer = TimeSpan.FromMilliseconds(250);
    private static readonly ConcurrentDictionary<string, Turn> Turns = new(StringComparer.Ordinal);
    private readonly string _path;
    private int _descriptor;

    private FolderLock(int descriptor, string path)
    {
        _descriptor = descriptor;
        _path = path;
    }

    /// <summary>Waits for the lock, at most as long as said.</summary>
    /// <exception cref="SecretsException">Somebody else held it all the time, or the file system has no locks.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled before the lock was there.</exception>
    internal static async ValueTask<FolderLock> AcquireAsync(
        string path, TimeSpan patience, TimeProvider clock, CancellationToken cancellationToken)
    {
        // also where nobody is waited for
        cancellationToken.ThrowIfCancellationRequested();
        await Turns.GetOrAdd(path, static _ => new Turn()).BeginAsync(clock, cancellationToken).ConfigureAwait(false);
        var start = clock.GetTimestamp();
        while (true)
        {
            var descriptor = await LockAsync(path, patience, clock, start, cancellationToken).ConfigureAwait(false);
            if (await DiskWait.ForAsync(() => Task.FromResult(TryTake(descriptor, path)), DiskPatience, path, Refused, static taken => taken?.Dispose())
                .ConfigureAwait(false) is { } taken)
            {
                return taken;
            }
        }
    }

    private static async ValueTask<int> LockAsync(string path, TimeSpan patience, TimeProvider clock, long start, CancellationToken cancellationToken)
    {
        var descriptor = await DiskWait.ForAsync(() => Task.FromResult(Open(path)), DiskPatience, path, Refused, Posix.Close).ConfigureAwait(false);
        try
        {
            while (!Posix.TryLock(descriptor, path))
            {
                var waited = clock.GetElapsedTime(start);
                if (waited > patience)
                {
                    throw new SecretsException(
                        $"{ReadHolder(descriptor, path)} holds '{path}' for more than {patience.TotalSeconds:0} s; nothing was changed",
                        "wait until it is done, or end that process, and try again");
                }

                // whoever has waited for long asks more often than newcomers, so that a busy folder starves nobody
                var most = waited < Newcomer ? 12 : 2;
                await Task.Delay(TimeSpan.FromMilliseconds(RandomNumberGenerator.GetInt32(1, most)), clock, cancellationToken)
                    .ConfigureAwait(false);
            }

            return descriptor;
        }
        catch (PosixException e)
        {
            Posix.Close(descriptor);
            throw e.ToWriteError(path);
        }
        catch
        {
            Posix.Close(descriptor);
            throw;
        }
    }

    // null where the folder was taken away meanwhile, by somebody who could not begin a vault in it
    private static FolderLock? TryTake(int descriptor, string path)
    {
        try
        {
            if (!Posix.TryStat(path, out var there) || there.Inode != Posix.Stat(descriptor, path).Inode)
            {
                Posix.Release(descriptor);
                return null;
            }

            WriteHolder(descriptor, path);
            return new FolderLock(descriptor, path);
        }
        catch (PosixException e)
        {
            Posix.Release(descriptor);
            throw e.ToWriteError(path);
        }
    }

    /// <summary>Lets the next one write.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _descriptor, -1) is var descriptor and >= 0)
        {
            ForgetHolder(descriptor, _path);
            Posix.Release(descriptor);
            Turns[_path].End();
        }
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private static int Open(string path)
    {
        try
        {
            return Posix.OpenOrCreate(path);
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(path);
        }
    }

    // only so that somebody who waits can be told whom for: a full disk is no reason to stop here
    private static void WriteHolder(int descriptor, string path)
    {
        var name = Path.GetFileName(Environment.ProcessPath) ?? "?";
        var holder = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {name}\n"));
        try
        {
            Posix.Rewind(descriptor, path);
            Posix.Truncate(descriptor, path);
            Posix.WriteAll(descriptor, holder, path);
        }
        catch (PosixException e) when (e.Error == Posix.NoSpace || e.Error == Posix.QuotaExceeded)
        {
        }
    }

    // The next holder may be a program that does not say who it is, and this one must not be ended for it.
    private static void ForgetHolder(int descriptor, string path)
    {
        try
        {
            Posix.Truncate(descriptor, path);
        }
        catch (PosixException)
        {
            // the change is made, and a name that is out of date is no reason to call it failed
        }
    }

    private static string ReadHolder(int descriptor, string path)
    {
        Span<byte> buffer = stackalloc byte[256];
        Posix.Rewind(descriptor, path);
        var parts = Encoding.UTF8.GetString(buffer[..Posix.ReadAll(descriptor, buffer, path)]).TrimEnd('\n').Split(' ', 2);
        return parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var process)
            ? string.Create(CultureInfo.InvariantCulture, $"process {process} ({SecretsException.Show(parts[1])})")
            : "another process";
    }

    /// <summary>
    /// Lets others have a lock after a quarter of a second: a process that writes on and on takes it again at once, and so
    /// is always there before those who look for it every few milliseconds.
    /// </summary>
    private sealed class Turn
    {
        private const int Longest = 250, Pause = 10;
        private long _began, _ended;

        internal async ValueTask BeginAsync(TimeProvider clock, CancellationToken cancellationToken)
        {
            var now = Environment.TickCount64;
            if (now - Volatile.Read(ref _ended) <= Pause)
            {
                if (now - Volatile.Read(ref _began) < Longest)
                {
                    return;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(Pause), clock, cancellationToken).ConfigureAwait(false);
            }

            Volatile.Write(ref _began, Environment.TickCount64);
        }

        internal void End() => Volatile.Write(ref _ended, Environment.TickCount64);
    }
}
