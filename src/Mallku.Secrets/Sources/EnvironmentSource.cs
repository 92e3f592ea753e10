using System.Text;
using System.Text.Unicode;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Sources;

/// <summary>
/// The process's environment variables: <c>openai_api_key</c> is <c>OPENAI_API_KEY</c>, with <c>.</c> and <c>-</c> as
/// <c>_</c>. An empty variable counts as not set, and so do those of <c>MALLKU_</c>, which are settings. Safe for
/// concurrent use.
/// </summary>
/// <remarks>
/// The runtime reads a variable in 100 to 400 ns, allocates for it, and never sees a native <c>setenv</c>; a native
/// program never sees the runtime's changes. So the variables that were asked for are read again, both ways, when the
/// last reading is older than 100 ms, and the newest change to either wins.
/// </remarks>
public sealed class EnvironmentSource : ISecretSource
{
    internal const string SourceName = "environment";

    // how the library itself is told where things are, the vault's key among them
    private const string OwnPrefix = "MALLKU_";
    private const int MillisecondsBetweenLooks = 100;
    private const int MostTracked = 4096;
    private readonly Lock _changing = new();
    private readonly Dictionary<string, Variable> _tracked = new(StringComparer.Ordinal);
    private long _lastLook = Environment.TickCount64;
    private long _stamp;

    /// <inheritdoc/>
    public string Name => SourceName;

    /// <inheritdoc/>
    public string DescribeLookup(SecretName name) => name.ToEnvironmentVariable();

    /// <inheritdoc/>
    public long GetChangeStamp(long now)
    {
        var last = Volatile.Read(ref _lastLook);
        if (now - last >= MillisecondsBetweenLooks && Interlocked.CompareExchange(ref _lastLook, now, last) == last)
        {
            LookAgain();
        }

        return Volatile.Read(ref _stamp);
    }

    /// <inheritdoc/>
    public ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken)
    {
        if (!name.IsValid || name.ToEnvironmentVariable() is not { } variableName || variableName.StartsWith(OwnPrefix, StringComparison.Ordinal))
        {
            return new((FoundSecret?)null);
        }

        SecretValue? value;
        lock (_changing)
        {
            var variable = Track(variableName);
            if (variable.LookAgain())
            {
                Interlocked.Increment(ref _stamp);
            }

            value = variable.Fault is { } fault ? throw fault : variable.Value;
        }

        return new(value is null ? null : new FoundSecret(name.ToString(), value, SourceName, Version: null, Created: null));
    }

    /// <summary>None: the name of a variable has no case and no <c>-</c>, so every match is exact.</summary>
    public ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName name, CancellationToken cancellationToken) => new([]);

    /// <summary>Nothing: which variables are secrets is known only by their names in other sources.</summary>
    public ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken) => new([]);

    /// <inheritdoc/>
    public ValueTask RefreshAsync(CancellationToken cancellationToken)
    {
        LookAgain();
        return ValueTask.CompletedTask;
    }

    private void LookAgain()
    {
        lock (_changing)
        {
            var changed = false;
            foreach (var variable in _tracked.Values)
            {
                changed |= variable.LookAgain();
            }

            if (changed)
            {
                Interlocked.Increment(ref _stamp);
            }
        }
    }

    private Variable Track(string name)
    {
        if (_tracked.TryGetValue(name, out var known))
        {
            return known;
        }

        if (_tracked.Count == MostTracked)
        {
            // whoever asks for that many names asks for made-up ones
            _tracked.Clear();
            Interlocked.Increment(ref _stamp);
        }

        var added = new Variable(name);
        _tracked.Add(name, added);
        return added;
    }

    /// <summary>One variable as the C library and as the runtime had it at the last look.</summary>
    private sealed class Variable
    {
        private readonly byte[] _nativeName;
        private SecretValue? _native;
        private SecretValue? _managed;

        internal Variable(string name)
        {
            Name = name;
            _nativeName = Posix.ToNative(name);
            _native = ReadNative();
            _managed = ReadManaged();
            Use(_managed == AsRuntimeReads(_native) ? _native : DecideByInitial());
        }

        internal string Name { get; }

        /// <summary>What counts, or null.</summary>
        internal SecretValue? Value { get; private set; }

        /// <summary>Why what counts can't be used, where it can't.</summary>
        internal SecretsException? Fault { get; private set; }

        /// <summary>Reads both ways; true when what counts is another value now.</summary>
        internal bool LookAgain()
        {
            var (before, wasFaulty) = (Value, Fault is not null);
            if (!IsNativeUnchanged())
            {
                _native = ReadNative();
                Use(_native);
            }

            var managed = ReadManaged();
            if (managed != _managed)
            {
                _managed = managed;
                Use(managed);
            }

            return before != Value || wasFaulty != (Fault is not null);
        }

        private void Use(SecretValue? value)
        {
            Fault = value is null || Utf8.IsValid(value.Bytes)
                ? null
                : new SecretsException($"the environment variable {Name} is not valid UTF-8", $"set it again, or unset {Name}");
            Value = Fault is null ? value : null;
        }

        private bool IsNativeUnchanged()
        {
            if (OperatingSystem.IsWindows())
            {
                return true;
            }

            var exists = Posix.TryGetVariable(_nativeName, out var now) && now.Length > 0;
            return exists ? _native is not null && now.SequenceEqual(_native.Bytes) : _native is null;
        }

        /// <summary>The bytes as they are, which may be no UTF-8.</summary>
        private SecretValue? ReadNative()
        {
            if (OperatingSystem.IsWindows() || !Posix.TryGetVariable(_nativeName, out var value) || value.Length == 0)
            {
                return null;
            }

            var bytes = SecretValue.Allocate(value.Length);
            value.CopyTo(bytes);
            return SecretValue.Adopt(bytes, borrowed: true);
        }

        // what is no UTF-8 has become other characters there
        private static SecretValue? AsRuntimeReads(SecretValue? native) =>
            native is null || Utf8.IsValid(native.Bytes) ? native : SecretValue.Borrowed(Encoding.UTF8.GetBytes(native.RevealString()));

        private SecretValue? ReadManaged() =>
            Environment.GetEnvironmentVariable(Name) is { Length: > 0 } text ? SecretValue.Borrowed(Encoding.UTF8.GetBytes(text)) : null;

        // At the first look the two differ only when one was changed since the process began, which the kernel still
        // knows: the one that is as it was then is the older one.
        private SecretValue? DecideByInitial()
        {
            try
            {
                var prefix = Encoding.UTF8.GetBytes(Name + "=");
                ReadOnlySpan<byte> rest = File.ReadAllBytes("/proc/self/environ");
                var initial = ReadOnlySpan<byte>.Empty;
                foreach (var range in rest.Split((byte)0))
                {
                    if (rest[range].StartsWith(prefix))
                    {
                        initial = rest[range][prefix.Length..];
                        break;
                    }
                }

                var nativeIsOlder = initial.IsEmpty ? _native is null : _native is not null && initial.SequenceEqual(_native.Bytes);
                return nativeIsOlder ? _managed : _native;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return _managed ?? _native;
            }
        }
    }
}
