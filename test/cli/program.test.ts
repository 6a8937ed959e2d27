import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { errorOf, runCli, spawnCli } from './run-cli.ts'

const packageJson: { version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
)

describe('version', () => {
  test('is JSON when piped, from the process that was really started', async () => {
    const run = await spawnCli(['version'])
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(run.stdout)).toEqual({
      farebox: packageJson.version,
      node: process.versions.node,
    })
  })

  test('--version prints the bare number', async () => {
    const run = await runCli(['--version'])
    expect(run).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' })
  })
})

describe('wrong usage', () => {
  test.each([
    ['no verb', []],
    ['an unknown verb', ['strat']],
    ['an unknown option', ['start', '--colour']],
    ['one argument too many', ['version', 'now']],
    ['pay without a URL', ['pay']],
    ['pay with a URL that is not one', ['pay', 'example.com']],
    ['pay with another scheme', ['pay', 'file:///etc/passwd']],
    ['pay with a limit that is not a plain decimal', ['pay', 'http://a.test', '--max', '1e3']],
    ['pay with a negative limit', ['pay', 'http://a.test', '--max', '-1']],
    ['pay with two limits', ['pay', 'http://a.test', '--max', '1', '--max-atomic', '1']],
    ['pay with two keys', ['pay', 'http://a.test', '--key-env', 'A', '--key-file', 'b']],
    ['pay with a header without a colon', ['pay', 'http://a.test', '-H', 'x']],
    ['pay with a header that breaks the line', ['pay', 'http://a.test', '-H', 'x: a\r\ny: b']],
    ['pay with a payment of its own', ['pay', 'http://a.test', '-H', 'X-PAYMENT: e30=']],
    ['pay with data from nowhere', ['pay', 'http://a.test', '-d', '@/nonexistent/file']],
  ])('%s: exit code 2 and one line of JSON', async (_, words) => {
    const run = await runCli(words)
    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr.trim().split('\n')).toHaveLength(1)
    const error = errorOf(run)
    expect(error.message).not.toBe('')
    expect(error.fix).not.toBe('')
  })

  test('never repeats a secret that was typed into the wrong place', async () => {
    const secret = 'hunter2-hunter2'
    for (const words of [
      ['pay', `https://user:${secret}@example.com/`],
      ['pay', 'https://example.com/', '-H', `authorization ${secret}`],
      ['pay', 'https://example.com/', `--private-key=${secret}`],
      ['pay', 'https://example.com/', '--max', secret],
      ['pay', 'https://example.com/', secret],
    ]) {
      const run = await runCli(words)
      expect(run.code).toBe(2)
      expect(run.stderr).not.toContain(secret)
    }
  })

  test('suggests what was meant', async () => {
    expect(errorOf(await runCli(['strat'])).message).toContain('start')
  })
})

test('--help of every verb names its options and exits with 0', async () => {
  for (const verb of ['start', 'check', 'pay', 'healthcheck', 'version']) {
    const run = await runCli([verb, '--help'])
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(run.stdout).toContain(`Usage: farebox ${verb}`)
  }
})
