package secrets

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestAWSSecretsManager(t *testing.T) {
	const get = "aws secretsmanager batch-get-secret-value --secret-id-list "
	secret := func(name, text string) thing {
		return thing{"ARN": "arn:aws:secretsmanager:eu-west-1:1:secret:" + name + "-AbCdEf", "Name": name, "SecretString": text}
	}
	gave := func(secrets ...thing) string {
		return answer(t, thing{"SecretValues": secrets, "Errors": []thing{}})
	}
	var many, names []string
	var last []thing
	for i := range awsBatch + 1 {
		names = append(names, fmt.Sprintf("s%d", i))
		many = append(many, fmt.Sprintf(`"s%d":"canary-7f3a"`, i))
	}
	for _, name := range names[:awsBatch] {
		last = append(last, secret(name, canary))
	}
	for _, c := range []fetching{
		{name: "fields of objects, and plain text", query: Query{Account: "prod", Keys: []string{"app", "plain"}},
			calls: []call{{Line: get + "app plain --profile prod --output json", Out: gave(secret("plain", v("text")), secret("app", `{"B":"`+canary+`","A":{"z": 1, "a": true}}`))}},
			want:  `{"app/B":"canary-7f3a","app/A":"{\"z\":1,\"a\":true}","plain":"canary-7f3a text"}`},
		{name: "what is JSON and no object", query: Query{Keys: []string{"port", "flag", "name", "nothing"}},
			calls: []call{{Line: get + "port flag name nothing --output json", Out: gave(secret("port", "5432"), secret("flag", "true"), secret("name", `"shop"`), secret("nothing", "null"))}},
			want:  `{"port":"5432","flag":"true","name":"shop","nothing":"null"}`},
		{name: "a beginning for all", query: Query{From: "app", Keys: []string{"A"}},
			calls: []call{{Line: get + "app/A --output json", Out: gave(secret("app/A", v("a")))}}, want: `{"app/A":"canary-7f3a a"}`},
		{name: "by ARN, without its random end", query: Query{Keys: []string{"arn:aws:secretsmanager:eu-west-1:1:secret:app"}},
			calls: []call{{Line: get + "arn:aws:secretsmanager:eu-west-1:1:secret:app --output json", Out: gave(secret("app", v("a")))}}, want: `{"app":"canary-7f3a a"}`},
		{name: "more than a call gives", query: Query{Keys: names},
			calls: []call{{Line: get + strings.Join(names[:awsBatch], " ") + " --output json", Out: gave(last...)}, {Line: get + names[awsBatch] + " --output json", Out: gave(secret(names[awsBatch], canary))}},
			want:  "{" + strings.Join(many, ",") + "}"},
		{name: "no such secret", query: Query{Keys: []string{"app", "gone"}},
			calls: []call{{Line: get + "app gone --output json", Out: answer(t, thing{"SecretValues": []thing{secret("app", canary)}, "Errors": []thing{{"SecretId": "gone", "ErrorCode": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."}}})}},
			says:  []string{"AWS Secrets Manager", "gone: Secrets Manager can't find"}},
		{name: "one that is left out", query: Query{Keys: []string{"app", "gone"}},
			calls: []call{{Line: get + "app gone --output json", Out: gave(secret("app", canary))}}, says: []string{"there is no secret gone"}},
		{name: "not logged in", query: Query{Keys: []string{"app"}},
			calls: []call{{Line: get + "app --output json", Code: 253, Err: "Unable to locate credentials. You can configure credentials by running \"aws login\"."}}, says: []string{"cannot read app", "Unable to locate credentials"}},
		{name: "binary", query: Query{Keys: []string{"app"}},
			calls: []call{{Line: get + "app --output json", Out: answer(t, thing{"SecretValues": []thing{{"Name": "app", "SecretBinary": canary}}})}}, says: []string{"app is binary"}},
		{name: "garbage", query: Query{Keys: []string{"app"}}, calls: []call{{Line: get + "app --output json", Out: canary}}, says: []string{"aws answered cannot be read"}},
	} {
		c.run(t, "aws_secrets_manager")
	}
}

func TestBitwarden(t *testing.T) {
	status := func(is string) string {
		return answer(t, thing{"serverUrl": nil, "userEmail": "me@example.com", "status": is})
	}
	item := func(password any, fields ...string) string {
		var all []thing
		for _, name := range fields {
			all = append(all, thing{"name": name, "value": v(name), "type": 1, "linkedId": nil})
		}
		return answer(t, thing{"object": "item", "name": "shop", "fields": all, "login": thing{"username": nil, "password": password}})
	}
	unlocked, sync := call{Line: "bw status", Out: status("unlocked")}, call{Line: "bw sync", Out: "Syncing complete."}
	me := func(keys ...string) Query { return Query{Account: "me@example.com", Keys: keys} }
	const session = canary + "-session"
	for _, c := range []fetching{
		{name: "a password, and fields by one call an item", query: me("login", "shop/A", "other/C", "shop/B"),
			calls: []call{unlocked, sync, {Line: "bw get item login", Out: item(v("password"), "X")}, {Line: "bw get item shop", Out: item(nil, "A", "B", "C")}, {Line: "bw get item other", Out: item(nil, "C")}},
			want:  `{"login":"canary-7f3a password","shop/A":"canary-7f3a A","shop/B":"canary-7f3a B","other/C":"canary-7f3a C"}`},
		{name: "an item without a password is all its fields", query: me("shop"),
			calls: []call{unlocked, sync, {Line: "bw get item shop", Out: item(nil, "A", "B")}}, want: `{"shop/A":"canary-7f3a A","shop/B":"canary-7f3a B"}`},
		{name: "from is the item", query: Query{Account: "me@example.com", From: "my shop", Keys: []string{"A"}},
			calls: []call{unlocked, sync, {Line: "bw get item ⟨my shop⟩", Out: item(nil, "A")}}, want: `{"my shop/A":"canary-7f3a A"}`},
		{name: "nobody is logged in, and somebody is there", query: me("shop/A"), typed: "password",
			calls: []call{{Line: "bw status", Out: status("unauthenticated")}, {Line: "bw login me@example.com", Stdin: "password", Out: "You are logged in! " + session}, {Line: "bw status", Out: status("locked")},
				{Line: "bw unlock --raw", Out: session}, {Line: "bw status", Env: map[string]string{"BW_SESSION": session}, Out: status("unlocked")},
				{Line: "bw sync", Env: map[string]string{"BW_SESSION": session}}, {Line: "bw get item shop", Env: map[string]string{"BW_SESSION": session}, Out: item(nil, "A")}},
			want: `{"shop/A":"canary-7f3a A"}`},
		{name: "locked, and nobody is there", query: me("shop"), calls: []call{{Line: "bw status", Out: status("locked")}}, says: []string{"Bitwarden", "no terminal", "BW_SESSION"}},
		{name: "not logged in, and nobody is there", query: me("shop"), calls: []call{{Line: "bw status", Out: status("unauthenticated")}}, says: []string{"not logged in", "bw login"}},
		{name: "it stays locked", query: me("shop"), typed: "-", calls: []call{{Line: "bw status", Out: status("locked")}, {Line: "bw unlock --raw"}, {Line: "bw status", Out: status("locked")}}, says: []string{"it stays locked"}},
		{name: "no such item", query: me("gone"), typed: "-", calls: []call{{Line: "bw status", Out: status("locked")}, {Line: "bw unlock --raw", Out: session + "\n"}, {Line: "bw status", Out: status("unlocked")}, sync, {Line: "bw get item gone", Code: 1, Err: "Not found. " + session}},
			says: []string{"cannot read the item gone", "Not found"}},
		{name: "no such field", query: me("shop/gone"), calls: []call{unlocked, sync, {Line: "bw get item shop", Out: item(v("p"), "A")}}, says: []string{"no field gone", "item shop"}},
		{name: "an item with nothing in it", query: me("note"), calls: []call{unlocked, sync, {Line: "bw get item note", Out: `{"notes":"` + canary + `","fields":null}`}}, says: []string{"no password and no field", "item note"}},
		{name: "no network", query: me("shop"), calls: []call{unlocked, {Line: "bw sync", Code: 1, Err: "fetch failed"}}, says: []string{"cannot read what is new", "fetch failed"}},
		{name: "garbage", query: me("shop"), calls: []call{{Line: "bw status", Out: canary}}, says: []string{"bw answered cannot be read"}},
	} {
		c.run(t, "bitwarden")
	}
}

func TestBitwardenSecretsManager(t *testing.T) {
	const id, other = "82aeb5bd-6958-4a89-8197-eacab758acce", "6f8cdf27-de2b-4c77-a35d-07df8050e332"
	in := call{Line: "bws project list --output json", Out: "[]"}
	list := answer(t, []thing{{"id": id, "key": "A", "value": v("a")}, {"id": other, "key": "B", "value": v("b") + "\nline"}})
	for _, c := range []fetching{
		{name: "by ID", query: Query{Keys: []string{id, other}}, calls: []call{in, {Line: "bws secret get " + id + " --output json", Out: answer(t, thing{"key": "A", "value": v("a")})},
			{Line: "bws secret get " + other + " --output json", Out: answer(t, thing{"key": "B", "value": v("b")})}}, want: `{"A":"canary-7f3a a","B":"canary-7f3a b"}`},
		{name: "all", query: Query{Keys: []string{"all"}}, calls: []call{in, {Line: "bws secret list --output json", Out: list}}, want: `{"A":"canary-7f3a a","B":"canary-7f3a b\nline"}`},
		{name: "all of a project", query: Query{From: id, Keys: []string{"all"}}, calls: []call{in, {Line: "bws secret list " + id + " --output json", Out: list}}, want: `{"A":"canary-7f3a a","B":"canary-7f3a b\nline"}`},
		{name: "no keys are all", query: Query{From: id}, calls: []call{in, {Line: "bws secret list " + id + " --output json", Out: list}}, want: `{"A":"canary-7f3a a","B":"canary-7f3a b\nline"}`},
		{name: "by key, from one list", query: Query{From: id, Keys: []string{"B", "A"}}, calls: []call{in, {Line: "bws secret list " + id + " --output json", Out: list}}, want: `{"B":"canary-7f3a b\nline","A":"canary-7f3a a"}`},
		{name: "no such key", query: Query{Keys: []string{"C"}}, calls: []call{in, {Line: "bws secret list --output json", Out: list}}, says: []string{"there is no secret C"}},
		{name: "not logged in", query: Query{Keys: []string{"all"}}, calls: []call{{Line: "bws project list --output json", Code: 1, Err: "Missing access token"}}, says: []string{"not logged in", "BWS_ACCESS_TOKEN", "Missing access token"}},
		{name: "no such ID", query: Query{Keys: []string{id}}, calls: []call{in, {Line: "bws secret get " + id + " --output json", Code: 1, Err: "404 Not Found"}}, says: []string{"cannot read the secret " + id, "404 Not Found"}},
		{name: "garbage", query: Query{Keys: []string{"all"}}, calls: []call{in, {Line: "bws secret list --output json", Out: canary}}, says: []string{"bws answered cannot be read"}},
	} {
		c.run(t, "bitwarden-sm")
	}
}

func TestDoppler(t *testing.T) {
	computed := func(names ...string) string {
		all := thing{}
		for _, name := range names {
			all[name] = thing{"computed": v(name), "computedVisibility": "unmasked", "note": ""}
		}
		return answer(t, all)
	}
	in := call{Line: "doppler me --json", Out: "{}"}
	want := `{"A":"canary-7f3a A","B":"canary-7f3a B"}`
	for _, c := range []fetching{
		{name: "from a config, in one call", query: Query{From: "shop/prd", Keys: []string{"A", "B"}}, calls: []call{in, {Line: "doppler secrets get A B --json -p shop -c prd", Out: computed("B", "A")}}, want: want},
		{name: "the config in the keys", query: Query{Keys: []string{"shop/prd/A", "shop/prd/B"}}, calls: []call{in, {Line: "doppler secrets get A B --json -p shop -c prd", Out: computed("A", "B")}}, want: want},
		{name: "a service token knows its config", query: Query{Keys: []string{"A", "B"}}, vars: map[string]string{"DOPPLER_TOKEN": "dp.st." + canary}, calls: []call{in, {Line: "doppler secrets get A B --json", Out: computed("A", "B")}}, want: want},
		{name: "another token does not", query: Query{Keys: []string{"A"}}, vars: map[string]string{"DOPPLER_TOKEN": "dp.pt." + canary}, says: []string{"project and config are needed"}},
		{name: "all of a config", query: Query{From: "shop/prd"}, calls: []call{in, {Line: "doppler secrets --json -p shop -c prd", Out: computed("B", "A")}}, want: want},
		{name: "somebody logs in", query: Query{From: "shop/prd", Keys: []string{"A", "B"}}, typed: "-", calls: []call{{Line: "doppler me --json", Code: 1}, {Line: "doppler login -y"}, {Line: "doppler secrets get A B --json -p shop -c prd", Out: computed("A", "B")}}, want: want},
		{name: "nobody is there to log in", query: Query{From: "shop/prd", Keys: []string{"A"}}, calls: []call{{Line: "doppler me --json", Code: 1, Err: "\x1b[31mDoppler Error:\x1b[0m no such host\x07"}}, says: []string{"not logged in", "doppler login", "DOPPLER_TOKEN", "exit status 1: Doppler Error: no such host"}},
		{name: "no such secret", query: Query{From: "shop/prd", Keys: []string{"GONE"}}, calls: []call{in, {Line: "doppler secrets get GONE --json -p shop -c prd", Code: 1, Err: "Doppler Error: Could not find requested secret: GONE"}}, says: []string{"cannot read GONE", "Could not find"}},
		{name: "one that may not be seen", query: Query{From: "shop/prd", Keys: []string{"A", "HIDDEN"}}, calls: []call{in, {Line: "doppler secrets get A HIDDEN --json -p shop -c prd", Out: `{"A":{"computed":"` + canary + `"},"HIDDEN":{"computed":null}}`}}, says: []string{"no secret HIDDEN"}},
		{name: "garbage", query: Query{From: "shop/prd", Keys: []string{"A"}}, calls: []call{in, {Line: "doppler secrets get A --json -p shop -c prd", Out: canary}}, says: []string{"doppler answered cannot be read"}},
	} {
		c.run(t, "doppler")
	}
}

func TestEnpass(t *testing.T) {
	entry := func(title, label string) thing {
		return thing{"category": "computer", "title": title, "label": label, "login": "", "password": v(title + label), "type": "password"}
	}
	const show = "enpass-cli -json -vault /vault show "
	all := answer(t, []thing{entry("Shop", "A"), entry("Shop", "B"), entry("Hello", "A"), entry("Shop", "")})
	in := func(keys ...string) Query { return Query{From: "/vault", Keys: keys} }
	for _, c := range []fetching{
		{name: "single fields of an item", query: in("Shop/A", "Shop/B"), calls: []call{{Line: show + "Shop", Out: all}}, want: `{"Shop/A":"canary-7f3a ShopA","Shop/B":"canary-7f3a ShopB"}`},
		{name: "a whole item", query: in("Shop"), calls: []call{{Line: show + "Shop", Out: all}}, want: `{"Shop/A":"canary-7f3a ShopA","Shop/B":"canary-7f3a ShopB","Shop":"canary-7f3a Shop"}`},
		{name: "the vault's password is asked for", query: in("Shop/A"), typed: "secret", calls: []call{{Line: show + "Shop", Stdin: "secret", Out: all}}, want: `{"Shop/A":"canary-7f3a ShopA"}`},
		{name: "no such field", query: in("Shop/A", "Shop/C"), calls: []call{{Line: show + "Shop", Out: all}}, says: []string{"there is no Shop/C"}},
		{name: "two of a name", query: in("Shop/A"), calls: []call{{Line: show + "Shop", Out: answer(t, []thing{entry("Shop", "A"), entry("Shop", "A")})}}, says: []string{"Shop/A is there more than once"}},
		{name: "nobody is there to open the vault", query: in("Shop"), calls: []call{{Line: show + "Shop", Code: 1, Err: "could not open vault: prompts are disabled"}}, says: []string{"cannot read Shop", "could not open vault"}},
		{name: "garbage", query: in("Shop"), calls: []call{{Line: show + "Shop", Out: canary}}, says: []string{"enpass-cli answered cannot be read"}},
	} {
		c.run(t, "enpass")
	}
}

func TestGoogleSecretManager(t *testing.T) {
	payload := func(value string) string {
		return answer(t, thing{"name": "projects/1/secrets/x/versions/1", "payload": thing{"data": base64.URLEncoding.EncodeToString([]byte(value)), "dataCrc32c": "1"}})
	}
	in := call{Line: "gcloud auth list --format=json", Out: `[{"account":"me@example.com","status":"ACTIVE"}]`}
	out := call{Line: "gcloud auth list --format=json", Out: `[]`}
	get := func(rest, value string) call {
		return call{Line: "gcloud secrets versions access " + rest + " --format=json", Out: payload(value)}
	}
	by := func(account string, keys ...string) Query { return Query{Account: account, Keys: keys} }
	for _, c := range []fetching{
		{name: "the default project and user", query: by("default", "A"), calls: []call{in, get("latest --secret=A", v("a"))}, want: `{"default/A":"canary-7f3a a"}`},
		{name: "what base64 writes in two ways", query: by("default", "A"), calls: []call{in, get("latest --secret=A", "\xfb\xff>?"+canary)}, want: `{"default/A":"\ufffd\ufffd>?canary-7f3a"}`},
		{name: "project and version in the key", query: by("default", "shop/A/12", "other/B"), calls: []call{in, get("12 --secret=A --project=shop", v("a")), get("latest --secret=B --project=other", v("b"))}, want: `{"shop/A":"canary-7f3a a","other/B":"canary-7f3a b"}`},
		{name: "from is the project", query: Query{Account: "default", From: "shop", Keys: []string{"A", "B/3"}}, calls: []call{in, get("latest --secret=A --project=shop", v("a")), get("3 --secret=B --project=shop", v("b"))}, want: `{"shop/A":"canary-7f3a a","shop/B":"canary-7f3a b"}`},
		{name: "from the default project", query: Query{Account: "default", From: "default", Keys: []string{"A/latest"}}, calls: []call{in, get("latest --secret=A", v("a"))}, want: `{"default/A":"canary-7f3a a"}`},
		{name: "a user who acts as service accounts", query: by("me@example.com|a@x.example,b@x.example", "A"), calls: []call{in, get("latest --secret=A --account=me@example.com --impersonate-service-account=a@x.example,b@x.example", v("a"))}, want: `{"default/A":"canary-7f3a a"}`},
		{name: "somebody logs in", query: by("default", "A"), typed: "-", calls: []call{out, {Line: "gcloud auth login"}, in, get("latest --secret=A", v("a"))}, want: `{"default/A":"canary-7f3a a"}`},
		{name: "the login comes to nothing", query: by("default", "A"), typed: "-", calls: []call{out, {Line: "gcloud auth login"}, out}, says: []string{"nobody is logged in"}},
		{name: "nobody is there to log in", query: by("default", "A"), calls: []call{out}, says: []string{"not logged in", "gcloud auth login"}},
		{name: "no such secret", query: by("default", "GONE"), calls: []call{in, {Line: "gcloud secrets versions access latest --secret=GONE --format=json", Code: 1, Err: "NOT_FOUND: Secret [projects/1/secrets/GONE] not found"}}, says: []string{"cannot read default/GONE", "NOT_FOUND"}},
		{name: "too long a path", query: by("default", "a/b/c/d"), calls: []call{in}, says: []string{`"a/b/c/d" is no [project/]name[/version]`}},
		{name: "no data", query: by("default", "A"), calls: []call{in, {Line: "gcloud secrets versions access latest --secret=A --format=json", Out: "{}"}}, says: []string{"no value in the answer for default/A"}},
		{name: "data that is no base64", query: by("default", "A"), calls: []call{in, {Line: "gcloud secrets versions access latest --secret=A --format=json", Out: `{"payload":{"data":"!` + canary + `"}}`}}, says: []string{"its data is no base64"}},
		{name: "garbage", query: by("default", "A"), calls: []call{{Line: "gcloud auth list --format=json", Out: canary}}, says: []string{"gcloud answered cannot be read"}},
	} {
		c.run(t, "gcp")
	}
}

func TestLastPass(t *testing.T) {
	item := func(full string) thing {
		return thing{"id": "1", "name": full, "fullname": full, "username": "", "password": v(full), "group": "", "note": ""}
	}
	in := call{Line: "lpass status --color never", Out: "Logged in as me@example.com.\n"}
	me := func(keys ...string) Query { return Query{Account: "me@example.com", Keys: keys} }
	for _, c := range []fetching{
		{name: "items with and without a folder, in one call", query: me("A", "Shop/B"), calls: []call{in, {Line: "lpass show A Shop/B --json", Out: answer(t, []thing{item("Shop/B"), item("A")})}}, want: `{"A":"canary-7f3a A","Shop/B":"canary-7f3a Shop/B"}`},
		{name: "from is the folder", query: Query{Account: "me@example.com", From: "Shop", Keys: []string{"B"}}, calls: []call{in, {Line: "lpass show Shop/B --json", Out: answer(t, []thing{item("Shop/B")})}}, want: `{"Shop/B":"canary-7f3a Shop/B"}`},
		{name: "somebody logs in", query: me("A"), typed: "-", calls: []call{{Line: "lpass status --color never", Out: "Not logged in.", Code: 1}, {Line: "lpass login me@example.com"}, {Line: "lpass show A --json", Out: answer(t, []thing{item("A")})}}, want: `{"A":"canary-7f3a A"}`},
		{name: "another is logged in, and nobody is there", query: me("A"), calls: []call{{Line: "lpass status --color never", Out: "Logged in as you@example.com."}}, says: []string{"not logged in", "lpass login me@example.com"}},
		{name: "no such item", query: me("GONE"), calls: []call{in, {Line: "lpass show GONE --json", Code: 1, Err: "Error: Could not find specified account(s)."}}, says: []string{"cannot read GONE", "Could not find"}},
		{name: "one of two", query: me("A", "GONE"), calls: []call{in, {Line: "lpass show A GONE --json", Out: answer(t, []thing{item("A")})}}, says: []string{"there is no item GONE"}},
		{name: "garbage", query: me("A"), calls: []call{in, {Line: "lpass show A --json", Out: canary}}, says: []string{"lpass answered cannot be read"}},
	} {
		c.run(t, "lastpass")
	}
}

func TestPassbolt(t *testing.T) {
	folder := func(id, parent, name string) thing { return thing{"id": id, "folder_parent_id": parent, "name": name} }
	resource := func(folder, name string) thing {
		return thing{"id": "r", "folder_parent_id": folder, "name": name, "username": "", "uri": "", "password": v(name)}
	}
	in := call{Line: "passbolt verify"}
	const columns = " --column name --column password --json"
	folders := func(filter string, found ...thing) call {
		return call{Line: "passbolt list folders --filter ⟨" + filter + "⟩ --json", Out: answer(t, found)}
	}
	for _, c := range []fetching{
		{name: "without a folder", query: Query{Keys: []string{"A", "B"}}, calls: []call{in, {Line: `passbolt list resources --filter ⟨Name == "A" || Name == "B"⟩` + columns, Out: answer(t, []thing{resource("", "B"), resource("", "A")})}}, want: `{"A":"canary-7f3a A","B":"canary-7f3a B"}`},
		{name: "in a folder", query: Query{From: "shop", Keys: []string{"A"}}, calls: []call{in, folders(`Name == "shop"`, folder("f0", "other", "shop"), folder("f1", "", "shop")),
			{Line: `passbolt list resources --filter ⟨(Name == "A" && FolderParentID == "f1")⟩ --folder f1` + columns, Out: answer(t, []thing{resource("f2", "A"), resource("f1", "A")})}}, want: `{"A":"canary-7f3a A"}`},
		{name: "in folders within folders, and in none", query: Query{Keys: []string{"shop/prod/A", "shop/prod/B", "C"}}, calls: []call{in, folders(`Name == "shop"`, folder("f1", "", "shop")), folders(`Name == "prod" && FolderParentID == "f1"`, folder("f2", "f1", "prod")),
			{Line: `passbolt list resources --filter ⟨(Name == "A" && FolderParentID == "f2") || (Name == "B" && FolderParentID == "f2") || Name == "C"⟩` + columns, Out: answer(t, []thing{resource("f2", "A"), resource("f2", "B"), resource("", "C")})}},
			want: `{"A":"canary-7f3a A","B":"canary-7f3a B","C":"canary-7f3a C"}`},
		{name: "a name with a quote in it", query: Query{Keys: []string{`A"B`}}, calls: []call{in, {Line: `passbolt list resources --filter ⟨Name == "A\"B"⟩` + columns, Out: answer(t, []thing{resource("", `A"B`)})}}, want: `{"A\"B":"canary-7f3a A\"B"}`},
		{name: "not set up", query: Query{Keys: []string{"A"}}, calls: []call{{Line: "passbolt verify", Code: 1, Err: "serverAddress is not defined"}}, says: []string{"not logged in", "passbolt configure", "serverAddress"}},
		{name: "no such folder", query: Query{From: "gone", Keys: []string{"A"}}, calls: []call{in, folders(`Name == "gone"`)}, says: []string{"there is no folder gone"}},
		{name: "no such folder within", query: Query{From: "shop/gone", Keys: []string{"A"}}, calls: []call{in, folders(`Name == "shop"`, folder("f1", "", "shop")), folders(`Name == "gone" && FolderParentID == "f1"`)}, says: []string{"there is no folder shop/gone"}},
		{name: "no such resource", query: Query{Keys: []string{"A", "GONE"}}, calls: []call{in, {Line: `passbolt list resources --filter ⟨Name == "A" || Name == "GONE"⟩` + columns, Out: answer(t, []thing{resource("", "A")})}}, says: []string{"there is no resource GONE"}},
		{name: "the server is down", query: Query{Keys: []string{"A"}}, calls: []call{in, {Line: `passbolt list resources --filter ⟨Name == "A"⟩` + columns, Code: 1, Err: "connection refused"}}, says: []string{"cannot read A", "connection refused"}},
		{name: "garbage", query: Query{Keys: []string{"A"}}, calls: []call{in, {Line: `passbolt list resources --filter ⟨Name == "A"⟩` + columns, Out: canary}}, says: []string{"passbolt answered cannot be read"}},
	} {
		c.run(t, "passbolt")
	}
}
