using System.ClientModel.Primitives;
using System.Net.Http.Json;

namespace Mallku.FireCircle.Adapters;

/// <summary>Tells whether a request's body can be sent a second time.</summary>
internal static class ReplayableBody
{
    /// <summary>
    /// Only for bodies that are known to: a stream that was read may send nothing the second time, and no error would say
    /// so. What System.ClientModel sends (the OpenAI client) is made to be sent again, by its own retries.
    /// </summary>
    internal static bool IsOne(HttpContent? content) => content switch
    {
        null or ByteArrayContent or ReadOnlyMemoryContent or JsonContent => true,
        MultipartContent parts => parts.All(IsOne),
        _ => content.GetType().Assembly == typeof(ClientPipeline).Assembly,
    };
}
