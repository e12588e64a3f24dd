// Drives every route of the embedded GitLab through @gitbeaker/rest: first what works, then what is refused.
'use strict';

const fs = require('node:fs');
const assert = require('node:assert/strict');
const { Gitlab } = require('@gitbeaker/rest');

const emulator = JSON.parse(process.env.GITLAB_EMULATOR);
let checks = 0;

function check(what, got, wanted = true) {
  assert.deepEqual(got, wanted, `gitbeaker: ${what}`);
  checks += 1;
}

async function refused(what, status, text, act) {
  let error;
  try {
    await act();
  } catch (caught) {
    error = caught;
  }
  if (!error?.cause?.response) throw error ?? new Error(`gitbeaker: ${what}: accepted, wanted ${status}`);
  check(`${what}: status`, error.cause.response.status, status);
  const said = JSON.stringify(error.cause.description);
  check(`${what}: ${said} has ${text}`, said.includes(text));
}

const client = (token) => new Gitlab({ host: emulator.url, token });
const operator = client(emulator.token);
const admin = client(emulator.admin_token);
const developer = client(emulator.tokens.developer);
const send = (api, method, path, options) => api.Metadata.requester[method](path, options);

async function lifeOfAResourceToken(word, service, id, otherId) {
  const tokens = operator[service];
  const wish = { accessLevel: 30, description: 'provision:0f' };
  const scopes = ['read_api', 'self_rotate'];
  const made = await tokens.create(id, 'Backstage (qa)', scopes, '2027-06-30', wish);
  check('made', [made.name, made.scopes, made.access_level, made.expires_at, made.description],
    ['Backstage (qa)', scopes, 30, '2027-06-30', 'provision:0f']);
  const own = await client(made.token).PersonalAccessTokens.show();
  check('self', [own.id, own.active], [made.id, true]);
  const shown = await tokens.show(id, made.id);
  check('shown without its value', 'token' in shown, false);
  await refused('a token of another resource', 404, 'Access Token Not Found', () => tokens.show(otherId, made.id));

  const rotated = await tokens.rotate(id, made.id, { expiresAt: '2027-05-01' });
  check('rotated', [rotated.user_id, rotated.expires_at, rotated.id !== made.id], [made.user_id, '2027-05-01', true]);
  await refused('the old value', 401, 'invalid_token', () => client(made.token).PersonalAccessTokens.show());
  await refused('rotating the old number', 400, 'Token already revoked', () => tokens.rotate(id, made.id));

  const third = await client(rotated.token)[service].rotate(id, 'self');
  check('self-rotated: one week', third.expires_at, '2026-11-28');
  await refused('self-rotation by a person', 405, '405 Method Not Allowed', () => tokens.rotate(id, 'self'));
  await tokens.revoke(id, third.id);
  check('revoked', (await tokens.show(id, third.id)).active, false);
  await refused('revoking what is not there', 404, `404 ${word} Access Token Not Found`, () => tokens.revoke(id, 999999));

  for (let number = 0; number < 25; number += 1) {
    await tokens.create(id, `page ${number}`, ['read_api'], '2027-01-01', { accessLevel: 20 });
  }
  check('all pages', (await tokens.all(id)).length, 28);
  const page = await tokens.all(id, { state: 'active', perPage: 10, page: 2, showExpanded: true });
  check('a page', [page.data.length, page.paginationInfo.total, page.paginationInfo.next], [10, 25, 3]);
  check('inactive ones', (await tokens.all(id, { state: 'inactive' })).length, 3);
}

async function refusalsOfAResource(word, service, id) {
  const create = (name, scopes, expiresAt, options) => operator[service].create(id, name, scopes, expiresAt, options);
  for (const [args, text] of [
    [['n', ['apo'], '2027-01-01'], 'scopes does not have a valid value'],
    [['n', ['read_user'], '2027-01-01'], 'scopes does not have a valid value'],
    [['n', ['api'], '2027-11-22'], 'Expires at must be before 2027-11-21'],
    [['n', ['api'], 'soon'], 'expires_at is invalid'],
    [['n', ['api'], '2027-01-01', { accessLevel: 35 }], 'access_level does not have a valid value'],
    [[undefined, undefined, '2027-01-01'], 'name is missing, scopes is missing'],
    [['', ['api'], '2027-01-01'], "Name can't be blank"],
  ]) {
    await refused(`${word}: ${JSON.stringify(args)}`, 400, text, () => create(...args));
  }
  const made = await create('n', ['read_api'], '2027-01-01', { accessLevel: 30 });
  const theirs = developer[service];
  await refused(`${word}: list`, 401, '401 Unauthorized', () => theirs.all(id));
  await refused(`${word}: show`, 401, '401 Unauthorized', () => theirs.show(id, made.id));
  await refused(`${word}: create`, 400, `permission to create ${word} access token`,
    () => theirs.create(id, 'n', ['read_api'], '2027-01-01'));
  await refused(`${word}: rotate`, 401, '401 Unauthorized', () => theirs.rotate(id, made.id));
  await refused(`${word}: revoke`, 400, 'cannot delete', () => theirs.revoke(id, made.id));
  await operator[service].revoke(id, made.id);
}

async function personalTokens() {
  const [dev] = await admin.Users.all({ username: 'dev' });
  check('a user by number', (await admin.Users.show(dev.id)).username, 'dev');
  const made = await admin.PersonalAccessTokens.create(dev.id, 'localhost', ['read_user', 'read_api']);
  check('the default expiry', made.expires_at, '2027-11-21');
  check('whose', (await client(made.token).Users.showCurrentUser()).username, 'dev');
  check('listed', (await developer.PersonalAccessTokens.all()).map((token) => token.id).includes(made.id));
  const rotated = await developer.PersonalAccessTokens.rotate(made.id, { expiresAt: '2027-02-01' });
  check('rotated', rotated.expires_at, '2027-02-01');
  check('shown', (await developer.PersonalAccessTokens.show({ tokenId: rotated.id })).active);
  await developer.PersonalAccessTokens.remove({ tokenId: rotated.id });
  await refused("another's token", 401, '401 Unauthorized', () => operator.PersonalAccessTokens.show({ tokenId: rotated.id }));
  await refused("withdrawing another's", 400, 'Not permitted to revoke',
    () => operator.PersonalAccessTokens.remove({ tokenId: rotated.id }));
  await refused('made by no administrator', 403, '403 Forbidden',
    () => operator.PersonalAccessTokens.create(dev.id, 'n', ['api']));

  const path = 'user/personal_access_tokens';
  const harmless = (await send(developer, 'post', path, { body: { name: 'own', scopes: ['self_rotate'] } })).body;
  await refused('more than harmless', 400, 'scopes does not have a valid value',
    () => send(developer, 'post', path, { body: { name: 'own', scopes: ['api'] } }));
  await refused('a scope too small', 403, 'insufficient_scope', () => client(harmless.token).Users.showCurrentUser());
  const next = await client(harmless.token).PersonalAccessTokens.rotate('self');
  await client(next.token).PersonalAccessTokens.remove();
  await refused('withdrawn by itself', 401, 'invalid_token', () => client(next.token).PersonalAccessTokens.show());
}

async function directory() {
  const group = await operator.Groups.show('alithya-csna/platform');
  check('a group by path', [group.full_path, group.parent_id], ['alithya-csna/platform', 101]);
  const project = await operator.Projects.show('alithya-csna/backstage');
  check('a project by path', project.path_with_namespace, 'alithya-csna/backstage');
  const inherited = { includeInherited: true };
  check('an inherited member', (await operator.GroupMembers.show(group.id, 2, inherited)).access_level, 50);
  check("a project's member", (await operator.ProjectMembers.show(project.id, 3, inherited)).access_level, 30);
  const file = await operator.RepositoryFiles.showRaw(project.id, 'catalog-info.yaml', 'main');
  check('a file', String(file instanceof Blob ? await file.text() : file).includes('kind: Component'));
  await refused('no file', 404, '404 File Not Found', () => operator.RepositoryFiles.showRaw(project.id, 'none', 'main'));
  await refused('a hidden group', 404, '404 Group Not Found', () => operator.Groups.show('elsewhere'));
  await refused('no project', 404, '404 Project Not Found', () => operator.Projects.show('alithya-csna/none'));
  check('metadata', (await operator.Metadata.show()).enterprise);
  check('version', (await send(operator, 'get', 'version')).body.version, '19.6.0-ee');
  await refused('no route', 404, '404 Not Found', () => send(operator, 'get', 'nope'));
  await refused('an unknown token', 401, '401 Unauthorized', () => client('glpat-unknown').Users.showCurrentUser());
  const bearer = new Gitlab({ host: emulator.url, oauthToken: emulator.token });
  check('the same token as a bearer', (await bearer.Users.showCurrentUser()).username, 'maude');
}

// Says what git would have pushed: the emulator has no repository.
async function pushed(project, branch, commit) {
  const body = JSON.stringify({ project, branch, commit });
  await fetch(`${emulator.url}/_emulator/push`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

async function branchesAndMergeRequests() {
  const path = 'alithya-csna/platform/charts';
  await pushed(path, 'main', '1'.repeat(40));
  await pushed(path, 'provision/qa', '2'.repeat(40));
  const main = await operator.Branches.show(path, 'main');
  check('the first branch', [main.default, main.protected, main.can_push], [true, true, true]);
  const topic = await developer.Branches.show(path, 'provision/qa');
  check('another branch', [topic.protected, topic.can_push, topic.commit.id], [false, true, '2'.repeat(40)]);
  check('all branches', (await operator.Branches.all(path)).map((branch) => branch.name), ['main', 'provision/qa']);
  await refused('no branch', 404, '404 Branch Not Found', () => operator.Branches.show(path, 'none'));

  check('who may push', (await operator.ProtectedBranches.show(path, 'main')).push_access_levels[0].access_level, 40);
  await refused('protection for a developer', 403, '403 Forbidden', () => developer.ProtectedBranches.all(path));
  await operator.ProtectedBranches.unprotect(path, 'main');
  await operator.ProtectedBranches.protect(path, 'ma*', { pushAccessLevel: 0 });
  check('nobody', (await operator.Branches.show(path, 'main')).can_push, false);
  check('all rules', (await operator.ProtectedBranches.all(path)).map((rule) => rule.name), ['ma*']);

  const create = () => developer.MergeRequests.create(path, 'provision/qa', 'main', 'mint');
  const request = await create();
  check('opened', [request.state, request.sha], ['opened', '2'.repeat(40)]);
  await refused('opened twice', 409, 'Another open merge request already exists', create);
  const closed = await developer.MergeRequests.edit(path, request.iid, { stateEvent: 'close' });
  check('closed', [closed.state, (await operator.MergeRequests.show(path, request.iid)).state], ['closed', 'closed']);
  const second = await create();
  await refused('merging by a developer', 401, '401 Unauthorized', () => developer.MergeRequests.merge(path, second.iid));
  check('merged', (await operator.MergeRequests.merge(path, second.iid)).state, 'merged');
  const found = await operator.MergeRequests.all({ projectId: path, sourceBranch: 'provision/qa' });
  check('the newest first', found.map((one) => [one.iid, one.state]), [[2, 'merged'], [1, 'closed']]);
}

// Compares the emulator's log with the list of routes.
async function everyRoute(path) {
  const { requests } = await (await fetch(`${emulator.url}/_emulator/state`)).json();
  const driven = requests.filter((entry) => entry.status && entry.status < 400).map((entry) => `${entry.method} ${entry.path}`);
  for (const line of fs.readFileSync(path, 'utf8').split('\n').filter((text) => text && !text.startsWith('#'))) {
    const pattern = new RegExp(`^${line.replaceAll(/:token|:user|:iid/g, '[0-9]+').replaceAll(/:id|:name|:file/g, '[^/]+')}$`);
    check(`${line} was driven`, driven.some((request) => pattern.test(request)));
  }
}

(async () => {
  await lifeOfAResourceToken('group', 'GroupAccessTokens', 'alithya-csna', 'toccoag');
  await lifeOfAResourceToken('project', 'ProjectAccessTokens', 'alithya-csna/backstage', 'toccoag/tocco-client');
  await refusalsOfAResource('group', 'GroupAccessTokens', 'alithya-csna');
  await refusalsOfAResource('project', 'ProjectAccessTokens', 'alithya-csna/backstage');
  await personalTokens();
  await directory();
  await branchesAndMergeRequests();
  await everyRoute(process.argv[2]);
  console.log(`gitbeaker: ${checks} checks passed`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
