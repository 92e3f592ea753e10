namespace Mallku.Cli.Tests;

/// <summary>What a person at a terminal sees and types; no value is ever shown.</summary>
public sealed class TerminalTests : IDisposable
{
    private const string Backspace = "\x7f", Interrupt = "\x03", EndOfInput = "\x04", EraseLine = "\x15", EraseWord = "\x17", Suspend = "\x1a", Enter = "\r";
    private const string Left = "\e[D", Home = "\eOH", F1OfLinux = "\e[[A", F5 = "\e[15~", ControlRight = "\e[1;5C", Escape = "\e";
    private readonly Scratch _scratch = new();

    public TerminalTests() => _scratch.Run("mallku init");

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("sk-typed" + Enter, "sk-typed")]
    [InlineData("sk-typ0" + Backspace + "ed" + Enter, "sk-typed")]
    [InlineData("clé" + Backspace + "e" + Enter, "cle")]
    [InlineData("wrong" + EraseLine + "right" + Enter, "right")]
    [InlineData("wrong words" + EraseWord + EraseWord + "right" + Enter, "right")]
    [InlineData("two wrong  " + EraseWord + "words" + Enter, "two words")]
    [InlineData("a\tb" + Enter, "a\tb")]
    [InlineData("ended" + EndOfInput, "ended")]
    [InlineData("on" + Suspend + "wards" + Enter, "onwards")]
    [InlineData(Left + "ar" + Left + Home + "rows" + ControlRight + Enter, "arrows")]
    [InlineData("func" + F5 + "tion" + F1OfLinux + Enter, "function")]
    [InlineData("é" + Left + Escape + Left + "-[15~" + Enter, "é-[15~")]
    [InlineData("cut" + Escape + "[1;" + Enter, "cut")]
    public async Task Asks_once_and_shows_nothing(string keys, string value)
    {
        using var pty = new Pty(_scratch, "mallku set name");
        await pty.Await("(not shown): ");
        await pty.Type(keys);
        Assert.Equal(0, await pty.End());
        Assert.Equal("value of name (not shown): \nset name, version 1, new\n", pty.Screen);
        Assert.Equal(value + "\n", _scratch.Run("mallku get name").Output);
    }

    [Fact]
    public async Task Leaves_control_characters_out_with_a_bell_and_says_so()
    {
        using var pty = new Pty(_scratch, "mallku set name");
        await pty.Await("(not shown): ");
        await pty.Type("\x01sk-\x16ty\0ped\x06" + Enter);
        Assert.Equal(0, await pty.End());
        Assert.Equal(
            "value of name (not shown): \a\a\a\a\n"
            + "mallku: note: control characters were typed and left out; a value that has them is piped: mallku set NAME < FILE\n"
            + "set name, version 1, new\n",
            pty.Screen);
        Assert.Equal("sk-typed\n", _scratch.Run("mallku get name").Output);
    }

    [Theory]
    [InlineData("mallku list", "there are no secrets yet: mallku set NAME\n")]
    [InlineData("mkdir outside; cd outside; mallku list", "mallku: note: there is no vault in 'DIR/outside/.secrets'; make one: mallku init\n")]
    public async Task Says_why_a_list_is_empty(string line, string said)
    {
        using var pty = new Pty(_scratch, line);
        Assert.Equal(0, await pty.End());
        Assert.Equal(said.Replace("DIR", _scratch.Folder, StringComparison.Ordinal), pty.Screen);
    }

    [Fact]
    public async Task Says_on_a_line_of_its_own_that_nothing_was_typed()
    {
        using var pty = new Pty(_scratch, "mallku set name");
        await pty.Await("(not shown): ");
        await pty.Type(EndOfInput);
        Assert.Equal(1, await pty.End());
        Assert.StartsWith("value of name (not shown): \nmallku: nothing was typed", pty.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Takes_a_value_that_is_longer_than_a_line_of_the_terminal()
    {
        var value = new string('a', 3000);
        using var pty = new Pty(_scratch, "mallku set name");
        await pty.Await("(not shown): ");
        await pty.Type(value);
        await pty.Type(value);
        await pty.Type(Enter);
        Assert.Equal(0, await pty.End());
        Assert.Equal(value + value + "\n", _scratch.Run("mallku get name").Output);
    }

    [Fact]
    public async Task Refuses_a_paste_of_several_lines_and_leaves_none_of_it_to_the_shell()
    {
        using var pty = new Pty(_scratch, "sh -c 'mallku set name; read rest; echo \"rest: $rest\"'");
        await pty.Await("(not shown): ");
        await pty.Type("line one\nline two\n");
        await pty.Await("several lines");
        await pty.Type("typed later" + Enter);
        await pty.End();
        Assert.DoesNotContain("line one", pty.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain("line two", pty.Screen, StringComparison.Ordinal);
        Assert.Contains("rest: typed later", pty.Screen, StringComparison.Ordinal);
        Assert.Equal(3, _scratch.Run("mallku get name").ExitCode);
    }

    [Theory]
    [InlineData("sk-half" + Interrupt)]
    [InlineData(EndOfInput)]
    public async Task Gives_the_terminal_back_when_nothing_is_stored(string keys)
    {
        using var pty = new Pty(_scratch, "sh -c 'trap : INT; mallku set name; echo \"ended: $?\"; stty -a'");
        await pty.Await("(not shown): ");
        await pty.Type(keys);
        await pty.End();
        Assert.Contains(" echo ", pty.Screen, StringComparison.Ordinal);
        Assert.Contains(" icanon ", pty.Screen, StringComparison.Ordinal);
        Assert.Contains("susp = ^Z", pty.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-half", pty.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain("ended: 0", pty.Screen, StringComparison.Ordinal);
        Assert.Equal(3, _scratch.Run("mallku get name").ExitCode);
    }

    [Theory]
    [InlineData("TERM", 143)]
    [InlineData("HUP", 129)]
    public async Task Gives_the_terminal_back_when_it_is_killed(string signal, int exitCode)
    {
        using var pty = new Pty(_scratch, "sh -c 'echo $$ > pid; exec mallku set name'; code=$?; stty -a; exit $code");
        await pty.Await("(not shown): ");
        _scratch.Run($"kill -{signal} $(cat pid)");
        Assert.Equal(exitCode, await pty.End());
        Assert.Contains(" echo ", pty.Screen, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("y", 0, 3)]
    [InlineData("yes", 0, 3)]
    [InlineData("n", 1, 0)]
    [InlineData("", 1, 0)]
    public async Task Asks_before_it_removes(string answer, int exitCode, int exitCodeOfGet)
    {
        _scratch.Run("echo v | mallku set name");
        using var pty = new Pty(_scratch, "mallku rm name");
        await pty.Await("remove name from the vault? [y/N] ");
        await pty.Type(answer + Enter);
        Assert.Equal(exitCode, await pty.End());
        Assert.Equal(exitCodeOfGet, _scratch.Run("mallku get name").ExitCode);
    }

    [Fact]
    public async Task Keeps_what_follows_the_key_Escape()
    {
        using var pty = new Pty(_scratch, "mallku set name");
        await pty.Await("(not shown): ");
        await pty.Type(Escape);
        await Task.Delay(500, TestContext.Current.CancellationToken);
        await pty.Type("[OK]" + Enter);
        Assert.Equal(0, await pty.End());
        Assert.Equal("[OK]\n", _scratch.Run("mallku get name").Output);
    }

    [Fact]
    public async Task Asks_for_the_secret_that_another_spelling_means()
    {
        _scratch.Run("echo v | mallku set openai_api_key");
        using var pty = new Pty(_scratch, "mallku rm OPENAI-API-KEY");
        await pty.Await("remove openai_api_key from the vault? [y/N] ");
        await pty.Type("y" + Enter);
        Assert.Equal(0, await pty.End());
        Assert.StartsWith("mallku: note: 'OPENAI-API-KEY' is stored as 'openai_api_key'\n", pty.Screen, StringComparison.Ordinal);
        Assert.Contains("removed openai_api_key", pty.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Does_not_ask_about_a_secret_that_is_not_there()
    {
        using var pty = new Pty(_scratch, "mallku rm name");
        Assert.Equal(3, await pty.End());
        Assert.StartsWith("mallku: no secret 'name'", pty.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Asks_before_it_rotates_the_key()
    {
        using var pty = new Pty(_scratch, "mallku key rotate");
        await pty.Await("with a new key? [y/N] ");
        await pty.Type("y" + Enter);
        Assert.Equal(0, await pty.End());
        Assert.Contains("the former key is kept", pty.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shows_a_table_that_fits_the_terminal()
    {
        var name = new string('n', 200);
        _scratch.Run($"echo v | mallku set {name}; echo v | mallku set short");
        using var pty = new Pty(_scratch, "TERM=xterm mallku list");
        Assert.Equal(0, await pty.End());
        var lines = pty.Screen.Replace("\e[1m", "", StringComparison.Ordinal).Replace("\e[0m", "", StringComparison.Ordinal).TrimEnd('\n').Split('\n');
        Assert.All(lines, line => Assert.True(line.Length <= 80, line));
        Assert.StartsWith("NAME ", lines[0], StringComparison.Ordinal);
        Assert.Contains("just now", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("short ", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shows_names_times_and_reasons_whole_where_a_row_is_wider_than_the_terminal()
    {
        _scratch.Run("echo v | mallku set b; echo v | mallku set the_key_of_anthropic_in_production_use; mallku rotate the_key_of_anthropic_in_production_use --with generate --grace 2h; mallku rollback the_key_of_anthropic_in_production_use");
        var log = await ShowAsync("mallku audit log --kind rolled-back");
        Assert.All(log, line => Assert.True(line.Length <= 80, line));
        Assert.Matches(@"^INDEX +TIME +KIND +SECRET( +ACTOR)?$", log[0]);
        Assert.Matches(@"^\d+ +just now +rolled-back +the_key_of_anthropic_in_production_use v3\b", log[2]);
        Assert.Matches($@"^  ({Environment.UserName}@{Environment.MachineName} +)?to the value of version 1$", log[3]);

        var list = await ShowAsync("mallku list");
        Assert.Matches("^NAME +VERSION +SOURCE +CREATED +ROTATION$", list[0]);
        Assert.Matches("^the_key_of_anthropic_in_production_use +3 +vault +just now +-$", list[2]);

        var history = await ShowAsync("mallku history the_key_of_anthropic_in_production_use");
        Assert.Matches("^VERSION +STATE +CREATED +SOURCE +GRACE ENDS +ID$", history[0]);
        Assert.Matches(@"^2 +previous +just now +generate +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +[0-9a-f]{8,}…$", history[2]);
        Assert.Equal(4, history.Length);
    }

    [Fact]
    public async Task Cuts_nothing_in_a_pipe()
    {
        var program = new string('p', 200);
        _scratch.Run($"echo v | mallku set a; cp /bin/true {program}; PATH=.:$PATH mallku run -- {program}");
        Assert.Equal($"run {program}\n", _scratch.Run("mallku audit log --kind read | cut -f10").Output);
        Assert.Contains("…", string.Concat(await ShowAsync("mallku audit log --kind read")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_doctor_finds_fits_the_terminal_but_for_a_command_to_copy()
    {
        _scratch.Run("mallku init; echo v | mallku set a; rm -f .secrets/.gitignore");
        var lines = await ShowAsync("mallku doctor");
        Assert.Contains(lines, static line => line.StartsWith("         ", StringComparison.Ordinal) && !line.Contains("hint:", StringComparison.Ordinal));
        Assert.All(lines, static line => Assert.True(line.Length <= 80, line));
        var folder = new string('f', 70);
        _scratch.Run($"mkdir {folder}; mv .secrets {folder}/");
        Assert.Contains(await ShowAsync($"mallku --dir {folder}/.secrets doctor"), line => line.EndsWith($"{folder}/.secrets/.gitignore", StringComparison.Ordinal));
    }

    private async Task<string[]> ShowAsync(string line)
    {
        using var pty = new Pty(_scratch, $"stty cols 80; TERM=dumb {line}");
        Assert.Equal(0, await pty.End());
        return pty.Screen.TrimEnd('\n').Split('\n');
    }

    [Theory]
    [InlineData("TERM=xterm mallku doctor", true)]
    [InlineData("TERM=xterm NO_COLOR= mallku doctor", true)]
    [InlineData("TERM=xterm NO_COLOR=1 mallku doctor", false)]
    [InlineData("TERM=dumb mallku doctor", false)]
    [InlineData("TERM=xterm mallku doctor | cat", false)]
    [InlineData("TERM=xterm mallku get nothing", true)]
    public async Task Colours_only_where_colour_is_wanted(string line, bool coloured)
    {
        using var pty = new Pty(_scratch, line);
        await pty.End();
        Assert.Equal(coloured, pty.Screen.Contains('\e', StringComparison.Ordinal));
    }
}
