// A round of voices answers a question, each by its own adapter, one after the other; each hears those before it.
//   dotnet run --project samples/Dialogue ["QUESTION"]          against a server on this machine that plays the providers
//   dotnet run --project samples/Dialogue -- --real "QUESTION"  with the providers that you have keys for
using Dialogue;
using Mallku.FireCircle.Adapters;
using Mallku.Secrets;
using Microsoft.Extensions.AI;

var isReal = args is ["--real", ..];
var question = args.Length > (isReal ? 1 : 0) ? args[^1] : "What should a council do before it trusts a new voice?";
try
{
    await using var stage = isReal ? Stage.Real() : await Stage.PlayedAsync();
    using var factory = new AdapterFactory(stage.Secrets);
    var voices = await stage.FindVoicesAsync(factory);
    Console.WriteLine(question);

    var heard = new List<ChatMessage>
    {
        new(ChatRole.System, "You are one voice of a council. Answer in three sentences at most, and take up what was said before you."),
        new(ChatRole.User, question),
    };
    foreach (var (name, options) in voices)
    {
        // no key in the call, and none in the client
        using var client = await factory.CreateAsync(name, options);
        Console.Write($"\n{name}: ");
        var answer = "";
        await foreach (var part in client.GetStreamingResponseAsync(heard))
        {
            Console.Write(part.Text);
            answer += part.Text;
        }

        Console.WriteLine();
        heard.Add(new ChatMessage(ChatRole.User, $"{name} said: {answer}"));
    }

    return 0;
}
catch (SecretsException e)
{
    Console.Error.WriteLine($"{e.Problem}\n  hint: {e.Remedy}");
    return 1;
}
