namespace Mallku.FireCircle.Tests;

/// <summary>A rotator that says when it comes to a moment, such as <c>after create</c>, and stays there until it is killed.</summary>
internal sealed class PausingRotator(IRotator inner, string moment) : IRotator
{
    private bool _isTested;

    public string Name => inner.Name;

    public bool NeedsPerson => inner.NeedsPerson;

    /// <summary>Is asked for again after the last step is recorded, and right before the new version becomes the current one.</summary>
    public bool CanRevoke
    {
        get
        {
            if (_isTested)
            {
                Meet("before finish");
            }

            return inner.CanRevoke;
        }
    }

    public void Require(RotatedKey current) => inner.Require(current);

    public async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        Meet("before create");
        var made = await inner.CreateAsync(key, cancellationToken);
        Meet("after create");
        return made;
    }

    public async ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        Meet("before set");
        await inner.SetAsync(key, value, cancellationToken);
        Meet("after set");
    }

    public async ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        Meet("before test");
        await inner.TestAsync(key, value, cancellationToken);
        Meet("after test");
        _isTested = true;
    }

    public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => inner.DiscardAsync(key, cancellationToken);

    public async ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        // the new version is the current one
        Meet("after finish");
        await inner.RevokeAsync(key, value, cancellationToken);
        Meet("after revoke");
    }

    private void Meet(string at)
    {
        if (at == moment)
        {
            Console.Out.WriteLine(at);
            Console.Out.Flush();
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
