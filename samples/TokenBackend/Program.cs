using Postern.Client;

// A backend that tells an agent who is speaking. A page asks it for a user token before each request; it answers for whom it has
// logged in itself, and for nobody else. Settings: POSTERN_KEY_ID and POSTERN_KEY_VALUE, of a secret key; nothing of them leaves here.
var builder = WebApplication.CreateSlimBuilder(args);
var key = new UserTokenKey(Need("POSTERN_KEY_ID"), Need("POSTERN_KEY_VALUE"));
var clock = TimeProvider.System;
var app = builder.Build();

// Your own login stands here. This one lets two people in by a password, so that there is something to try.
var passwords = new Dictionary<string, string>(StringComparer.Ordinal) { ["alice"] = "wonderland", ["bob"] = "builder" };
app.MapPost("/user-token", (HttpRequest request) =>
{
    var (user, password) = Login(request.Headers.Authorization.ToString());
    return user is not null && passwords.GetValueOrDefault(user) == password
        // Short, because a page can ask again; the id is the login's, never a member of the request's body.
        ? Results.Json(new { token = UserTokens.ForgeUserToken(key, user, TimeSpan.FromMinutes(15), clock) })
        : Results.Unauthorized();
});
app.Run();

string Need(string name) => builder.Configuration[name] is { Length: > 0 } value ? value : throw new InvalidOperationException($"Set {name}: 'postern user-token-keys create' makes a key.");

static (string? User, string? Password) Login(string header)
{
    var bytes = new byte[header.Length];
    return header.StartsWith("Basic ", StringComparison.Ordinal) && System.Buffers.Text.Base64.DecodeFromUtf8(System.Text.Encoding.UTF8.GetBytes(header[6..]), bytes, out _, out var length) == System.Buffers.OperationStatus.Done
        && System.Text.Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2) is [var user, var password] ? (user, password) : (null, null);
}
