// Backstage's own reader of GitLab files, with the token that `provision exec` put into its environment.
'use strict';

const assert = require('node:assert/strict');
const { getGitLabFileFetchUrl, getGitLabRequestOptions, readGitLabIntegrationConfig } = require('@backstage/integration');
const { ConfigReader } = require('@backstage/config');

const { GITLAB_URL: url, GITLAB_TOKEN: token } = process.env;

async function main() {
  assert.ok(token, 'the secrets file gave no GITLAB_TOKEN');
  assert.equal(process.env.SOPS_AGE_KEY, undefined, 'the key came along');
  const config = readGitLabIntegrationConfig(
    new ConfigReader({ host: new URL(url).host, apiBaseUrl: `${url}/api/v4`, baseUrl: url, token }),
  );
  const page = `${url}/alithya-csna/backstage/-/blob/main/catalog-info.yaml`;
  const target = await getGitLabFileFetchUrl(page, config);
  const reply = await fetch(target, getGitLabRequestOptions(config));
  assert.equal(reply.status, 200, `${target}: ${reply.status}`);
  const text = await reply.text();
  assert.ok(text.includes('kind: Component'), text);
  const without = await fetch(target);
  assert.equal(without.status, 401, 'the file is open to everybody: the token proved nothing');
  console.log('backstage: 4 checks passed');
}

main().catch((error) => {
  console.error(`backstage: ${error.message}`);
  process.exit(1);
});
