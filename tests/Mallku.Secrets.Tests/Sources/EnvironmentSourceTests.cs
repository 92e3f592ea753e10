using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Mallku.Secrets.Sources;

namespace Mallku.Secrets.Tests.Sources;

/// <summary>The environment as the runtime sees it and as native code does.</summary>
public sealed partial class EnvironmentSourceTests : IDisposable
{
    private const string Variable = "TEST_NATIVE_KEY";
    private readonly SecretsManager _manager = new([new EnvironmentSource()]);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _ = unsetenv(Variable);
        Environment.SetEnvironmentVariable(Variable, null);
    }

    [Fact]
    public async Task A_variable_that_native_code_sets_is_seen_also_when_it_was_asked_for_before()
    {
        Assert.Null(await GetAsync());
        Assert.Equal(0, setenv(Variable, "native", 1));
        await _manager.RefreshAsync(Cancel);
        Assert.Equal("native", await GetAsync());
    }

    [Fact]
    public async Task The_newest_change_wins_whoever_makes_it()
    {
        Environment.SetEnvironmentVariable(Variable, "runtime");
        Assert.Equal("runtime", await GetAsync());
        Assert.Equal(0, setenv(Variable, "native", 1));
        await _manager.RefreshAsync(Cancel);
        Assert.Equal("native", await GetAsync());
        Environment.SetEnvironmentVariable(Variable, "runtime again");
        await _manager.RefreshAsync(Cancel);
        Assert.Equal("runtime again", await GetAsync());
    }

    [Fact]
    public async Task A_change_is_seen_without_a_refresh_by_the_first_look_after_100_ms()
    {
        var source = new EnvironmentSource();
        var name = SecretName.Parse(Variable);
        Environment.SetEnvironmentVariable(Variable, "before");
        await source.FindAsync(name, Cancel);
        var now = Environment.TickCount64 + 1000;
        var stamp = source.GetChangeStamp(now);
        Environment.SetEnvironmentVariable(Variable, "after");
        Assert.Equal(stamp, source.GetChangeStamp(now + 99));
        Assert.NotEqual(stamp, source.GetChangeStamp(now + 100));
    }

    [Fact]
    public async Task What_is_no_text_is_a_fault_until_the_runtime_or_native_code_sets_it_right()
    {
        Assert.Equal(0, setenv(Variable, [0xff, 0], 1));
        await _manager.RefreshAsync(Cancel);
        await Assert.ThrowsAsync<SecretsException>(GetAsync);
        Environment.SetEnvironmentVariable(Variable, "good");
        await _manager.RefreshAsync(Cancel);
        Assert.Equal("good", await GetAsync());
        Assert.Equal(0, setenv(Variable, "native", 1));
        await _manager.RefreshAsync(Cancel);
        Assert.Equal("native", await GetAsync());
    }

    [Fact]
    public async Task The_library_s_own_settings_are_no_secrets()
    {
        Environment.SetEnvironmentVariable("MALLKU_TEST_SETTING", "key");
        Assert.Null(await _manager.GetAsync("mallku_test_setting", Cancel));
        Environment.SetEnvironmentVariable("MALLKU_TEST_SETTING", null);
    }

    [Fact]
    public async Task An_empty_variable_counts_as_not_set()
    {
        Assert.Equal(0, setenv(Variable, "", 1));
        Assert.Null(await GetAsync());
    }

    [Fact]
    public async Task A_variable_that_is_no_utf8_is_an_error_that_names_it_and_not_its_value()
    {
        Assert.Equal(0, setenv(Variable, [0x66, 0x6f, 0xff, 0], 1));
        var error = await Assert.ThrowsAsync<SecretsException>(GetAsync);
        Assert.Contains(Variable, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("fo", error.Message.Replace("for", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(0, setenv(Variable, "good", 1));
        await _manager.RefreshAsync(Cancel);
        Assert.Equal("good", await GetAsync());
    }

    [Theory]
    [InlineData("test_native_key")]
    [InlineData("Test-Native.Key")]
    [InlineData("TEST_NATIVE_KEY")]
    public async Task Every_spelling_of_a_name_is_the_same_variable(string name)
    {
        Assert.Equal(0, setenv(Variable, "value", 1));
        Assert.Equal("value", (await _manager.GetRequiredAsync(name, Cancel)).RevealString());
    }

    private async Task<string?> GetAsync() => (await _manager.GetAsync(Variable, Cancel))?.RevealString();

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    [SuppressMessage("Style", "IDE1006", Justification = "The C library's name.")]
    private static partial int setenv(string name, string value, int overwrite);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, byte[] value, int overwrite);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unsetenv(string name);
}
