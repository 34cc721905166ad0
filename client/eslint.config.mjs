// What the page and the SDK are held to; run by `npm run lint`.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/node_modules/", "client/types/"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-implicit-coercion": ["error", { boolean: false }],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-throw-literal": "error",
    },
  },
  { files: ["tests/**"], languageOptions: { globals: globals.node } },
];
