import { expect, test } from 'vitest'
import { serveLocally } from '../../support/json-server.ts'
import { startRawUpstream } from '../../support/raw-upstream.ts'
import { checkOnline, onlineYaml } from './ask.ts'

test('each server is connected to, and asked how it is where the file says how', async () => {
  const silent = await startRawUpstream(() => {})
  const asked: (string | undefined)[] = []
  const unwell = await serveLocally(async (request, response) => {
    asked.push(request.url)
    response.writeHead(503).end()
  })
  const yaml = onlineYaml({ facilitators: ['http://127.0.0.1:9'] })
    .replace('{api: "http://127.0.0.1:9"}', () => {
      const list = JSON.stringify([silent.url, 'unix:/nowhere/api.sock'])
      return `{api: {url: ${list}}, sick: {url: "${unwell.url}/base", health: {path: /healthz}}}`
    })
    .replace('GET /v1/report: $0.25', 'GET /v1/report: {price: $0.25, upstream: api}')
  const { findings } = await checkOnline(yaml)
  await Promise.all([silent.close(), unwell.close()])
  const found = findings.filter(({ question }) => question === 'upstreams')
  expect(found.map(({ level, item, message }) => [level, item, message])).toEqual([
    ['ok', 'upstreams.api.url', `${silent.url} can be reached`],
    ['warning', 'upstreams.api.url', 'unix:/nowhere/api.sock is not well (ENOENT)'],
    ['warning', 'upstreams.sick.url', `${unwell.url} is not well (STATUS_503)`],
  ])
  expect([silent.heads, asked]).toEqual([[], ['/healthz']])
})
