using System.Diagnostics;
using System.Globalization;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>A rotation by a program of the user's, cut off anywhere, is gone on with by another process.</summary>
public sealed class RotationTests(ITestOutputHelper output)
{
    // Its folder holds a file for each live key, named by the token and with the value in it. What the file "kill" names, it
    // kills whoever runs it at; what "wait" names, it waits at until that is gone.
    private const string Program = """
        #!/bin/sh
        step=$MALLKU_ROTATION_STEP
        meet() {
            if [ -e "$1/kill" ] && [ "$(cat "$1/kill")" = "$2" ]; then rm "$1/kill"; kill -9 $PPID; exit 1; fi
            while [ -e "$1/wait" ] && [ "$(cat "$1/wait")" = "$2" ]; do : > "$1/waits"; sleep 0.02; done
        }
        meet "$1" "before $step"
        case $step in
            create)
                value=sk-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
                printf %s "$value" > "$1/keys/$MALLKU_ROTATION_TOKEN-$$"
                meet "$1" "after $step"
                echo "$value" ;;
            set) cat > "$1/used" ;;
            test) value=$(cat); grep -qrxF -- "$value" "$1/keys" ;;
            discard) rm -f "$1/keys/$MALLKU_ROTATION_TOKEN"-* ;;
            revoke) value=$(cat); for key in $(grep -lrxF -- "$value" "$1/keys"); do rm -f "$key"; done ;;
        esac
        [ "$step" = create ] || meet "$1" "after $step"
        """;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("before create")]
    [InlineData("after create")]
    [InlineData("before set")]
    [InlineData("after set")]
    [InlineData("before test")]
    [InlineData("after test")]
    public async Task A_kill_at_a_step_leaves_the_current_value_and_another_process_goes_on(string moment)
    {
        using var shop = await Shop.OpenAsync();
        shop.Write("kill", moment);
        using (var child = Child.Start(shop.Renew))
        {
            var (exitCode, lines) = await child.WaitAsync();
            Assert.Equal((128 + 9, 0), (exitCode, lines.Count));
        }

        Assert.Equal("by hand", await shop.Folder.GetAsync("key"));
        Assert.Equal(SecretVersionState.Pending, (await shop.Folder.Open().GetHistoryAsync("key", Cancel))!.Versions[0].State);
        Assert.Equal("resumed 2", await Child.AskAsync("resume", shop.Folder.Vault, "key"));
        await shop.RequireOneKeyAsync();
    }

    [Theory]
    [InlineData("before set", true)]
    [InlineData("after set", true)]
    [InlineData("after set", false)]
    [InlineData("after test", true)]
    public async Task A_kill_while_an_earlier_value_is_put_back_leaves_a_rollback_that_is_gone_on_with_or_given_up(string moment, bool isResumed)
    {
        using var shop = await Shop.OpenAsync();
        var keeping = new RotationPolicy { Rotator = "command", Command = shop.Renew[3..], Grace = TimeSpan.FromHours(1) };
        await shop.Folder.Open().CreateRotationRunner().RotateAsync("key", keeping, Cancel);
        var current = await shop.Folder.GetAsync("key");
        shop.Write("kill", moment);
        string[] rollback = ["rollback", shop.Folder.Vault, "key"];
        using (var child = Child.Start(rollback))
        {
            Assert.Equal(128 + 9, (await child.WaitAsync()).ExitCode);
        }

        Assert.Equal(current, await shop.Folder.GetAsync("key"));
        if (isResumed)
        {
            Assert.Equal("resumed 3", await Child.AskAsync("resume", shop.Folder.Vault, "key"));
            Assert.Equal("by hand", await shop.Folder.GetAsync("key"));
        }
        else
        {
            await shop.Folder.Open().CreateRotationRunner().AbandonAsync("key", Cancel);
            Assert.Equal(current, await shop.Folder.GetAsync("key"));
        }

        Assert.Equal(await shop.Folder.GetAsync("key"), await File.ReadAllTextAsync(shop["used"], Cancel));
        Assert.Null(Assert.Single(await shop.Folder.Open().CreateRotationRunner().GetStatusAsync(Cancel)).Pending);
        Assert.True(File.Exists(shop["keys/by-hand"]));
    }

    [Fact]
    public async Task A_kill_while_the_old_key_is_revoked_leaves_the_new_version_in_use_and_the_rest_to_be_done()
    {
        using var shop = await Shop.OpenAsync();
        shop.Write("kill", "before revoke");
        using (var child = Child.Start(shop.Renew))
        {
            Assert.Equal(128 + 9, (await child.WaitAsync()).ExitCode);
        }

        Assert.StartsWith("sk-", await shop.Folder.GetAsync("key"), StringComparison.Ordinal);
        var runner = shop.Folder.Open().CreateRotationRunner();
        Assert.Equal([1], Assert.Single(await runner.GetStatusAsync(Cancel)).Unrevoked);
        Assert.Equal([RotationAction.Revoked], (await runner.RunDueAsync(Cancel)).Select(done => done.Action));
        await shop.RequireOneKeyAsync();
    }

    [Theory]
    [InlineData("?fsync")]
    [InlineData("?rename,?renameat,?renameat2")]
    public async Task A_kill_at_a_call_to_the_system_is_gone_on_with(string call)
    {
        var (kills, pending, renewed) = (0, 0, 0);
        for (var (n, isOver) = (1, false); !isOver; n++)
        {
            using var shop = await Shop.OpenAsync();
            var (killed, answer) = await Strace.KillAsync(
                shop.Folder, call, n, ["mallku-secrets.json.encrypted", "mallku-secrets.json.encrypted.tmp", Strace.LedgerSegment], [], shop.Renew);
            Assert.Equal(killed ? [] : ["renewed 2"], answer.ToList());
            var runner = shop.Folder.Open().CreateRotationRunner();
            var status = Assert.Single(await runner.GetStatusAsync(Cancel));
            if (status.Pending is not null)
            {
                Assert.Equal("by hand", await shop.Folder.GetAsync("key"));
                Assert.Equal("resumed 2", await Child.AskAsync("resume", shop.Folder.Vault, "key"));
                pending++;
            }
            else if (await shop.Folder.GetAsync("key") == "by hand")
            {
                Assert.Equal("renewed 2", await Child.AskAsync(shop.Renew));
            }
            else
            {
                await runner.RunDueAsync(Cancel);
                renewed++;
            }

            await shop.RequireOneKeyAsync();
            isOver = !killed;
            kills += killed ? 1 : 0;
        }

        output.WriteLine($"{call}: {kills} kills, {pending} left a rotation to be gone on with, {renewed} a new version");
        Assert.True(pending > 0 && renewed > 0, "no kill hit a rotation, or none its end");
    }

    [Fact]
    public async Task Of_two_processes_that_rotate_one_secret_one_does_and_the_other_is_told()
    {
        using var shop = await Shop.OpenAsync();
        shop.Write("wait", "before create");
        using var one = Child.Start(shop.Renew);
        while (!File.Exists(shop["waits"]))
        {
            await Task.Delay(20, Cancel);
        }

        using var other = Child.Start(shop.Renew);
        while (!HasOpen(other, ".rotation.lock"))
        {
            await Task.Delay(20, Cancel);
        }

        File.Delete(shop["wait"]);
        Assert.Equal("renewed 2", Assert.Single(await one.ReadToEndAsync()));
        Assert.StartsWith("error SecretsException: 'key' was changed by another process meanwhile: version 2 is current", Assert.Single(await other.ReadToEndAsync()), StringComparison.Ordinal);
        Assert.Single(Directory.EnumerateFiles(shop["keys"]));
    }

    [Theory]
    [InlineData("before create")]
    [InlineData("after set")]
    [InlineData("before test")]
    public async Task A_program_that_a_kill_left_running_is_joined_by_no_other(string moment)
    {
        using var shop = await Shop.OpenAsync();
        shop.Write("wait", moment);
        using (var child = Child.Start(shop.Renew))
        {
            while (!File.Exists(shop["waits"]))
            {
                await Task.Delay(20, Cancel);
            }

            // and is killed here
        }

        Assert.Contains("cut off still runs, as process ", await Child.AskAsync("resume", shop.Folder.Vault, "key"), StringComparison.Ordinal);
        Assert.Equal("by hand", await shop.Folder.GetAsync("key"));
        File.Delete(shop["wait"]);
        Assert.Equal("resumed 2", await Child.AskAsync("resume", shop.Folder.Vault, "key"));
        await shop.RequireOneKeyAsync();
    }

    [Fact]
    public async Task The_current_value_is_not_put_back_while_a_program_that_a_kill_left_puts_the_new_one()
    {
        using var shop = await Shop.OpenAsync();
        shop.Write("wait", "before set");
        using (var child = Child.Start(shop.Renew))
        {
            while (!File.Exists(shop["waits"]))
            {
                await Task.Delay(20, Cancel);
            }

            // and is killed here
        }

        var runner = shop.Folder.Open().CreateRotationRunner();
        var said = Assert.Single(await runner.AbandonAsync("key", Cancel));
        Assert.Equal(RotationAction.NotPutBack, said.Action);
        Assert.Contains("still runs", said.Error!.Problem, StringComparison.Ordinal);
        File.Delete(shop["wait"]);
        Assert.Equal([RotationAction.Revoked], (await runner.RunDueAsync(Cancel)).Select(done => done.Action));
    }

    [Fact]
    public async Task A_program_that_takes_too_long_is_ended_and_none_of_what_it_wrote_is_in_the_error()
    {
        using var shop = await Shop.OpenAsync();
        var slow = new RotationPolicy { Rotator = "command", Command = ["/bin/sh", "-c", "echo sk-canary; sleep 600"] };
        var error = await Assert.ThrowsAsync<SecretsException>(
            async () => await shop.Folder.Open().CreateRotationRunner([new CommandRotator(TimeSpan.FromSeconds(1))]).RotateAsync("key", slow, Cancel));
        Assert.Contains("took more than 1 s for the step 'create'", error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain((await LedgerEntries.ReadAsync(shop.Folder)).Select(entry => entry.Note ?? ""), note => note.Contains("canary", StringComparison.Ordinal));
    }

    /// <summary>As it is where the machine is busy: nobody waits for it yet when it is ended.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_program_that_is_ended_as_soon_as_it_begins_is_not_said_to_have_failed(bool isCancelled)
    {
        using var cancelled = new CancellationTokenSource();
        if (isCancelled)
        {
            await cancelled.CancelAsync();
        }

        var slow = new RotationPolicy { Rotator = "command", Command = ["/bin/sh", "-c", "sleep 600"] };
        var key = new RotatedKey("key", 2, Guid.NewGuid().ToString("N"), new string('0', 32), KeyId: null, slow);
        for (var i = 0; i < 50; i++)
        {
            var error = await Assert.ThrowsAnyAsync<Exception>(async () => await new CommandRotator(isCancelled ? null : TimeSpan.Zero).CreateAsync(key, cancelled.Token));
            Assert.True(isCancelled ? error is OperationCanceledException : error is SecretsException { Problem: var problem } && problem.Contains("took more than", StringComparison.Ordinal), error.ToString());
        }
    }

    [Fact]
    public async Task A_value_whose_end_a_program_that_was_left_running_hides_is_not_taken()
    {
        using var shop = await Shop.OpenAsync();
        var leaving = new RotationPolicy { Rotator = "command", Command = ["/bin/sh", "-c", "sleep 600 & echo $! > \"$0\"; echo sk-canary", shop["left"]] };
        try
        {
            var error = await Assert.ThrowsAsync<SecretsException>(async () => await shop.Folder.Open().CreateRotationRunner().RotateAsync("key", leaving, Cancel));
            Assert.Contains("a program that it left running holds its standard output", error.Problem, StringComparison.Ordinal);
            Assert.DoesNotContain("canary", error.ToString(), StringComparison.Ordinal);
            Assert.Equal("by hand", await shop.Folder.GetAsync("key"));
        }
        finally
        {
            End(shop["left"]);
        }
    }

    [Fact]
    public async Task A_step_whose_output_nobody_needs_waits_for_no_program_that_is_left_running()
    {
        using var shop = await Shop.OpenAsync();
        var leaving = new RotationPolicy
        {
            Rotator = "command",
            Command = ["/bin/sh", "-c", "case $MALLKU_ROTATION_STEP in create) echo sk-new ;; set) sleep 600 & echo $! > \"$0\" ;; esac", shop["left"]],
            Grace = TimeSpan.FromHours(1),
        };
        try
        {
            await shop.Folder.Open().CreateRotationRunner().RotateAsync("key", leaving, Cancel);
            Assert.Equal("sk-new", await shop.Folder.GetAsync("key"));
        }
        finally
        {
            End(shop["left"]);
        }
    }

    [Theory]
    [InlineData("exit 3", "ended with 3 for the step 'create'")]
    [InlineData("true", "wrote no value for the step 'create'")]
    [InlineData("printf '\\377'", "wrote no UTF-8 for the step 'create'")]
    [InlineData("head -c 1048577 /dev/zero", "wrote no value for the step 'create', or one of more than 1 MiB")]
    [InlineData("echo by hand", "the new value is the current one")]
    public async Task A_program_that_makes_no_new_value_is_an_error(string script, string problem)
    {
        using var shop = await Shop.OpenAsync();
        var policy = new RotationPolicy { Rotator = "command", Command = ["/bin/sh", "-c", script] };
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await shop.Folder.Open().CreateRotationRunner().RotateAsync("key", policy, Cancel));
        Assert.Contains(problem, error.Problem, StringComparison.Ordinal);
        Assert.Equal("by hand", await shop.Folder.GetAsync("key"));
    }

    private static void End(string file)
    {
        using var left = Process.GetProcessById(int.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture));
        left.Kill();
    }

    // it waits for its turn then, and has seen before which version is current
    private static bool HasOpen(Child child, string name) =>
        Directory.EnumerateFiles($"/proc/{child.Id}/fd").Any(link => new FileInfo(link).LinkTarget?.EndsWith(name, StringComparison.Ordinal) ?? false);

    /// <summary>A vault with a secret, and beside it a provider's folder.</summary>
    private sealed class Shop : IDisposable
    {
        internal required TemporaryFolder Folder { get; init; }

        internal string this[string name] => Path.Combine(Folder.Path, "shop", name);

        internal string[] Renew => ["renew", Folder.Vault, "key", "/bin/sh", this["program"], Path.Combine(Folder.Path, "shop")];

        internal static async Task<Shop> OpenAsync()
        {
            var shop = new Shop { Folder = await TemporaryFolder.WithVaultAsync() };
            await shop.Folder.SetAsync("key", "by hand");
            Directory.CreateDirectory(shop["keys"]);
            shop.Write("program", Program);
            shop.Write("keys/by-hand", "by hand");
            return shop;
        }

        internal void Write(string name, string text) => File.WriteAllText(this[name], text);

        /// <summary>The one live key is the current value, nothing is pending, and the ledger is whole.</summary>
        internal async Task RequireOneKeyAsync()
        {
            var value = await Folder.GetAsync("key");
            Assert.Equal(value, await File.ReadAllTextAsync(Assert.Single(Directory.EnumerateFiles(this["keys"])), Cancel));
            Assert.Equal(value, await File.ReadAllTextAsync(this["used"], Cancel));
            var status = Assert.Single(await Folder.Open().CreateRotationRunner().GetStatusAsync(Cancel));
            Assert.Equal((null, 0), (status.Pending, status.Unrevoked.Count));
            Assert.Contains(await LedgerEntries.ReadAsync(Folder), entry => entry.Kind == LedgerKind.Rotated);
        }

        public void Dispose() => Folder.Dispose();
    }
}
