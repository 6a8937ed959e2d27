import { expect, test } from 'vitest'
import { accepted, HEAD } from '../config/support.ts'
import { runCli } from './run-cli.ts'

test('makes a new key each time, and the line that lets it in', async () => {
  const { code, stdout, stderr } = await runCli(['key', 'partner-a'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { key, sha256, line } = JSON.parse(stdout)
  expect(key).toMatch(/^fbk_[\w-]{43}$/)
  expect(line).not.toContain(key)
  const { routes } = accepted(`${HEAD}allow:\n  keys:\n    ${line}\nroutes: {/x: $1}`)
  expect(routes[0]?.access.allow?.keys).toEqual([{ name: 'partner-a', sha256 }])
  expect((await runCli(['key', 'partner-a'])).stdout).not.toContain(sha256)
})

test('shows a person the key and the line', async () => {
  const { stdout } = await runCli(['key', 'partner-a'], {}, { terminal: true })
  expect(stdout).toMatch(/^key for partner-a: {2}fbk_\S+\nfor the file: {2}- \{name: "partner-a", /)
})

test('refuses a name that no metric takes', async () => {
  const { code, stdout, stderr } = await runCli(['key', 'two words'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(JSON.parse(stderr).error.code).toBe('usage')
})
