import { afterEach, expect, test } from 'vitest'
import { type LocalServer, serveLocally } from '../support/json-server.ts'
import { errorOf, runCli, spawnCli } from './run-cli.ts'

const open: LocalServer[] = []
afterEach(() => Promise.all(open.splice(0).map(server => server.close())))

/** A server that answers with this status; null: it never answers. */
async function answering(status: number | null): Promise<string> {
  const server = await serveLocally(async (_, response) => {
    if (status === null) return
    response.writeHead(status, { location: '/elsewhere' })
    response.end('{}')
  })
  open.push(server)
  return `${server.url}/healthz`
}

test('200 is healthy: exit code 0, as Docker wants it', async () => {
  const run = await spawnCli(['healthcheck', '--url', await answering(200)])
  expect(run).toMatchObject({ code: 0, stderr: '' })
})

test.each([503, 500, 404, 301])('%i is not: exit code 1', async status => {
  const run = await runCli(['healthcheck', '--url', await answering(status)])
  expect(run).toMatchObject({ code: 1, stdout: '' })
  expect(errorOf(run)).toMatchObject({
    code: 'unhealthy',
    message: expect.stringContaining(String(status)),
  })
})

test('nobody there is not: exit code 1, with the reason', async () => {
  const url = await answering(200)
  await open.pop()?.close()
  const run = await runCli(['healthcheck', '--url', url])
  expect(run.code).toBe(1)
  expect(errorOf(run).message).toContain('ECONNREFUSED')
})

test('a gateway that hangs is not: the answer comes before Docker gives up', async () => {
  const started = performance.now()
  const run = await runCli(['healthcheck', '--url', await answering(null)])
  expect(run.code).toBe(1)
  expect(performance.now() - started).toBeLessThan(4500)
})
