using Mallku.Secrets.Hosting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Mallku.FireCircle.Tests;

/// <summary>Containers and configuration of .NET programs.</summary>
public sealed class HostingTests
{
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Each_provider_and_each_named_adapter_is_a_keyed_client()
    {
        await using var stage = await Stage.SetAsync();
        var key = await stage.StoreAsync("openai_api_key");
        var services = new ServiceCollection();
        services.AddMallkuSecrets(stage.Options);
        services.AddMallkuAdapters(new Dictionary<string, AdapterOptions>(StringComparer.Ordinal)
        {
            ["critic"] = new() { Provider = "openai", BaseUrl = stage.Server.BaseUrl("openai"), Model = "a-model" },
            ["openai"] = new() { BaseUrl = stage.Server.BaseUrl("openai") },
        });
        await using var provider = services.BuildServiceProvider();

        foreach (var name in new[] { "critic", "openai" })
        {
            var client = provider.GetRequiredKeyedService<IChatClient>(name);
            Assert.Same(client, provider.GetRequiredKeyedService<IChatClient>(name));
            Assert.Equal("openai heard: one", (await client.GetResponseAsync("one", cancellationToken: Stage.Cancel)).Text);
        }

        Assert.All(stage.Server.Seen, request => Assert.Equal(key, request.Key));
        Assert.NotNull(provider.GetRequiredKeyedService<IChatClient>("anthropic"));
        Assert.Null(provider.GetKeyedService<IChatClient>("nobody"));
    }

    [Fact]
    public async Task What_a_later_call_names_is_added_and_takes_the_place_of_what_has_its_name_in_any_case()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        await stage.StoreAsync("house_key");
        var options = new AdapterOptions { Provider = "openai", BaseUrl = stage.Server.BaseUrl("openai"), Model = "a-model" };
        var house = await stage.LoadProvidersAsync($$"""
            {"providers": [ {"id": "house", "name": "House", "protocol": "openai", "baseUrl": "{{stage.Server.BaseUrl("openai")}}", "model": "m",
              "key": {"header": "bearer", "secrets": ["house_key"]}, "check": {"path": "models"} } ]}
            """);
        var services = new ServiceCollection();
        services.AddMallkuAdapters();
        services.AddMallkuAdapters(Named(("OpenAI", options), ("critic", options with { BaseUrl = new Uri("http://127.0.0.1:1/") })));
        services.AddMallkuAdapters(Named(("CRITIC", options), ("chair", options)), house);
        services.AddMallkuAdapters();
        services.AddMallkuSecrets(stage.Options);
        await using var provider = services.BuildServiceProvider();
        foreach (var name in new[] { "openai", "OpenAI", "critic", "CRITIC", "chair", "house" })
        {
            Assert.Equal("openai heard: " + name, (await provider.GetRequiredKeyedService<IChatClient>(name).GetResponseAsync(name, cancellationToken: Stage.Cancel)).Text);
        }

        Assert.Equal(house, provider.GetRequiredService<AdapterFactory>().Providers);
    }

    [Fact]
    public async Task Two_catalogues_are_an_error_and_not_one_of_them_by_chance()
    {
        await using var stage = await Stage.SetAsync();
        const string none = "{\"providers\": []}";
        var services = new ServiceCollection();
        services.AddMallkuAdapters(providers: await stage.LoadProvidersAsync(none));
        services.AddMallkuAdapters(providers: await stage.LoadProvidersAsync(none));
        await using var provider = services.BuildServiceProvider();
        var error = Assert.Throws<InvalidOperationException>(() => provider.GetRequiredKeyedService<IChatClient>("openai"));
        Assert.Contains("two different catalogues", error.Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, AdapterOptions> Named(params (string Name, AdapterOptions Options)[] adapters) =>
        adapters.ToDictionary(static adapter => adapter.Name, static adapter => adapter.Options, StringComparer.Ordinal);

    [Fact]
    public async Task A_configuration_holds_the_secrets_that_are_listed_and_the_environment_wins()
    {
        await using var stage = await Stage.SetAsync();
        var plain = await stage.StoreAsync("hosting_plain");
        var nested = await stage.StoreAsync("Mail--Password");
        await stage.StoreAsync("hosting_shadowed");
        Environment.SetEnvironmentVariable("HOSTING_SHADOWED", "from the environment");
        try
        {
            using var configuration = (ConfigurationRoot)new ConfigurationBuilder().AddMallkuSecrets(secrets: stage.Secrets).Build();
            Assert.Equal(plain, configuration["HOSTING_PLAIN"]);
            Assert.Equal(nested, configuration.GetSection("Mail")["Password"]);
            Assert.Equal("from the environment", configuration["hosting_shadowed"]);
        }
        finally
        {
            Environment.SetEnvironmentVariable("HOSTING_SHADOWED", null);
        }
    }

    [Fact]
    public async Task Options_follow_a_change_of_a_secret_and_are_left_alone_by_other_changes()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("mail_password");
        using var configuration = (ConfigurationRoot)new ConfigurationBuilder()
            .AddMallkuSecrets(
                new SecretsConfigurationOptions
                {
                    Keys = new Dictionary<string, string>(StringComparer.Ordinal) { ["Mail:Password"] = "mail_password", ["Mail:Absent"] = "nobody" },
                    LookInterval = TimeSpan.FromMilliseconds(20),
                },
                stage.Secrets)
            .Build();
        await using var provider = new ServiceCollection().Configure<Mail>(configuration.GetSection("Mail")).BuildServiceProvider();
        var monitor = provider.GetRequiredService<IOptionsMonitor<Mail>>();
        var changes = 0;
        var changed = new TaskCompletionSource();
        using var subscription = monitor.OnChange(mail =>
        {
            Interlocked.Increment(ref changes);
            changed.TrySetResult();
        });

        await stage.StoreAsync("unrelated");
        await stage.Secrets.RefreshAsync(Stage.Cancel);
        var password = await stage.StoreAsync("mail_password");
        await changed.Task.WaitAsync(Generous, Stage.Cancel);
        Assert.Equal(password, monitor.CurrentValue.Password);
        Assert.Null(monitor.CurrentValue.Absent);
        Assert.Equal(1, changes);
    }

    [Fact]
    public async Task A_look_that_fails_is_told_and_changes_nothing_and_the_next_one_sees_the_change()
    {
        await using var stage = await Stage.SetAsync();
        var first = await stage.StoreAsync("mail_password");
        var failed = new TaskCompletionSource<SecretsException>();
        using var configuration = (ConfigurationRoot)new ConfigurationBuilder()
            .AddMallkuSecrets(
                new SecretsConfigurationOptions { LookInterval = TimeSpan.FromMilliseconds(20), OnFailedLook = error => failed.TrySetResult(error) }, stage.Secrets)
            .Build();
        var reloaded = new TaskCompletionSource();
        using var token = configuration.GetReloadToken().RegisterChangeCallback(_ => reloaded.TrySetResult(), null);

        File.SetUnixFileMode(stage.Options.Directory!, (UnixFileMode)0b111_101_101);
        await stage.Secrets.RefreshAsync(Stage.Cancel);
        Assert.IsType<VaultOpenException>(await failed.Task.WaitAsync(Generous, Stage.Cancel));
        Assert.Equal(first, configuration["mail_password"]);

        File.SetUnixFileMode(stage.Options.Directory!, (UnixFileMode)0b111_000_000);
        var second = await stage.StoreAsync("mail_password");
        await reloaded.Task.WaitAsync(Generous, Stage.Cancel);
        Assert.Equal(second, configuration["mail_password"]);
    }

    [Fact]
    public async Task A_follower_that_throws_is_told_without_the_value_and_later_changes_are_seen()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("mail_password");
        var told = new TaskCompletionSource<SecretsException>();
        using var configuration = (ConfigurationRoot)new ConfigurationBuilder()
            .AddMallkuSecrets(
                new SecretsConfigurationOptions
                {
                    Keys = new Dictionary<string, string>(StringComparer.Ordinal) { ["Mail:Password"] = "mail_password" },
                    LookInterval = TimeSpan.FromMilliseconds(20),
                    OnFailedLook = error =>
                    {
                        told.TrySetResult(error);
                        throw new InvalidOperationException("who is told throws too");
                    },
                },
                stage.Secrets)
            .Build();
        var isBad = false;
        var services = new ServiceCollection();
        services.AddOptions<Mail>().Bind(configuration.GetSection("Mail")).Validate(_ => !Volatile.Read(ref isBad), "bad " + configuration["Mail:Password"]);
        await using var provider = services.BuildServiceProvider();
        var monitor = provider.GetRequiredService<IOptionsMonitor<Mail>>();
        var changed = new TaskCompletionSource();
        using var subscription = monitor.OnChange(_ => changed.TrySetResult());

        var shown = configuration["Mail:Password"]!;
        Volatile.Write(ref isBad, true);
        await stage.StoreAsync("mail_password");
        var error = await told.Task.WaitAsync(Generous, Stage.Cancel);
        Assert.Contains(nameof(OptionsValidationException), error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(shown, error.ToString(), StringComparison.Ordinal);

        Volatile.Write(ref isBad, false);
        var last = await stage.StoreAsync("mail_password");
        await changed.Task.WaitAsync(Generous, Stage.Cancel);
        Assert.Equal(last, monitor.CurrentValue.Password);
    }

    public sealed class Mail
    {
        public string? Password { get; set; }

        public string? Absent { get; set; }
    }
}
