using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mallku.Secrets.Stores.PostgreSql;
using Mallku.Secrets.Tests;
using Npgsql;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>A PostgreSQL of the tests' own, on loopback, with its data in a temporary folder. It ends with this process at the latest.</summary>
internal sealed class PostgreSqlServer : IAsyncDisposable
{
    internal const string Password = "canary-Zq7 @:/?#%&=;'\"-pässword";

    // The shell stays as a guard, whose input is a pipe from this process: when that ends, however it ends, so does the server.
    private const string Guard = """
        "$@" </dev/null & echo $!; exec 2>/dev/null
        cat >/dev/null; kill -CONT $!; kill -QUIT $!; wait
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("mallku-postgresql-").FullName;
    private readonly List<string> _settings;
    private readonly StringBuilder _log = new();
    private Process? _guard;
    private TaskCompletionSource _ready = new();
    private Task _ended = Task.CompletedTask;
    private int _id;

    private PostgreSqlServer(IEnumerable<string> settings) => _settings = [.. settings];

    internal int Port { get; private set; }

    internal string Data => Path.Combine(_folder, "data");

    internal string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    /// <param name="settings">As <c>name=value</c>, for the server.</param>
    internal static async Task<PostgreSqlServer> StartAsync(params string[] settings)
    {
        var server = new PostgreSqlServer(settings);
        try
        {
            await server.InitializeAsync();
            await server.RunAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>An address of the superuser, or of another user with the same password, at the server or at a line to it.</summary>
    internal string Address(string? schema = null, string user = "postgres", string database = "postgres", int? port = null, string more = "", string? password = Password) =>
        $"postgres://{user}{(password is null ? "" : ":" + Uri.EscapeDataString(password))}@127.0.0.1:{port ?? Port}/{database}?schema={schema ?? "mallku"}{more}";

    internal IRecordStore Open(string? schema = null, string user = "postgres", string database = "postgres", int? port = null, string more = "") =>
        PostgreSqlRecordStore.Open(Address(schema, user, database, port, more));

    /// <summary>Connects as the superuser, beside the stores.</summary>
    internal async Task<NpgsqlConnection> ConnectAsync(string database = "postgres", string user = "postgres")
    {
        var settings = new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = Port, Username = user, Password = Password, Database = database, Pooling = false };
        var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        return connection;
    }

    /// <summary>Runs statements as the superuser; returns the last one's first value.</summary>
    internal async Task<object?> RunAsync(string sql, string database = "postgres", string user = "postgres")
    {
        await using var connection = await ConnectAsync(database, user);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Kills it with all its processes where they stand.</summary>
    internal async Task KillAsync()
    {
        Signal("KILL", Processes());
        await _ended.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await EndGuardAsync();
    }

    /// <summary>Stops it in an orderly way.</summary>
    internal async Task StopAsync()
    {
        Signal("INT", [_id]);
        await _ended.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await EndGuardAsync();
    }

    /// <summary>Every process of it stands still, until <see cref="Resume"/>.</summary>
    internal void Pause()
    {
        // the first one first: it starts no more then
        Signal("STOP", [_id]);
        Signal("STOP", Processes());
    }

    internal void Resume() => Signal("CONT", Processes());

    /// <summary>Runs it again, at the same port.</summary>
    internal async Task RunAsync()
    {
        _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ended = ended.Task;
        var settings = _settings.Prepend($"unix_socket_directories={_folder}").Prepend($"port={Port}").SelectMany(static setting => new[] { "-c", setting });
        var start = new ProcessStartInfo("sh", ["-c", Guard, "sh", .. AsUser("postgres", ["-D", Data, .. settings])])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _guard = Process.Start(start)!;
        _guard.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is null)
            {
                ended.TrySetResult();
                return;
            }

            lock (_log)
            {
                _log.AppendLine(line.Data);
            }

            if (line.Data.Contains("database system is ready to accept", StringComparison.Ordinal))
            {
                _ready.TrySetResult();
            }
        };
        _guard.BeginErrorReadLine();
        _id = int.Parse((await _guard.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
        await Task.WhenAny(_ready.Task, _ended, Task.Delay(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
        Assert.True(_ready.Task.IsCompleted, "the server does not start\n" + Log);
    }

    /// <summary>Writes a file that the server can read, such as a key.</summary>
    internal string Write(string name, string text)
    {
        var path = Path.Combine(Data, name);
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Tool("chown", "--reference", Data, path);
        return path;
    }

    internal static void Tool(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {error}{output.Result}");
    }

    public async ValueTask DisposeAsync()
    {
        await EndGuardAsync();
        await _ended.WaitAsync(TimeSpan.FromSeconds(30));
        Directory.Delete(_folder, recursive: true);
    }

    // PostgreSQL does not run as root
    private static string[] AsUser(string program, params string[] arguments) =>
    [
        .. Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : Array.Empty<string>(),
        Path.Combine(Requires.PostgreSql(), program), .. arguments,
    ];

    private static void Signal(string signal, IReadOnlyCollection<int> ids) =>
        Tool("sh", ["-c", $"kill -{signal} \"$@\" 2>/dev/null; true", "sh", .. ids.Select(static id => id.ToString(CultureInfo.InvariantCulture))]);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task InitializeAsync()
    {
        Port = FreePort();
        var passwordFile = Path.Combine(_folder, "password");
        await File.WriteAllTextAsync(passwordFile, Password, TestContext.Current.CancellationToken);
        if (Environment.IsPrivilegedProcess)
        {
            Tool("chown", "-R", "postgres:", _folder);
        }

        var initialize = AsUser("initdb", "-D", Data, "--no-sync", "-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "scram-sha-256", "--pwfile", passwordFile);
        Tool(initialize[0], initialize[1..]);
    }

    private List<int> Processes()
    {
        var ids = new List<int> { _id };
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(static path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
        {
            try
            {
                // pid (name) state parent
                var stat = File.ReadAllText(Path.Combine(folder, "stat"));
                if (int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture) == _id)
                {
                    ids.Add(int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // it has ended meanwhile
            }
        }

        return ids;
    }

    private async Task EndGuardAsync()
    {
        if (_guard is not null)
        {
            _guard.StandardInput.Close();
            await _guard.WaitForExitAsync();
            _guard.Dispose();
            _guard = null;
        }
    }
}

/// <summary>One server for the classes that leave it as it was; started by the first that asks.</summary>
public sealed class SharedPostgreSql : IAsyncDisposable
{
    private readonly Lazy<Task<PostgreSqlServer>> _server = new(static () => PostgreSqlServer.StartAsync());

    internal Task<PostgreSqlServer> StartAsync() => _server.Value;

    public async ValueTask DisposeAsync()
    {
        if (_server is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
        {
            await (await _server.Value).DisposeAsync();
        }
    }
}

[CollectionDefinition(Name)]
public sealed class OnePostgreSql : ICollectionFixture<SharedPostgreSql>
{
    public const string Name = "one PostgreSQL";
}
