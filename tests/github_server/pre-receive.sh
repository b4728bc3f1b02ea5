#!/bin/sh
# The rules GitHub holds against a push. WORKFLOWS=1: the token may change workflow files.
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
  case "$ref" in
    refs/heads/*) ;;
    refs/tags/*) ;;
    *) echo "error: refusing to update ref $ref" >&2; exit 1 ;;
  esac
  branch=${ref#refs/heads/}
  if [ -f protected-branches ] && grep -qxF -- "$branch" protected-branches; then
    echo "error: GH006: Protected branch update failed for $ref." >&2
    echo "error: Changes must be made through a pull request." >&2
    exit 1
  fi
  [ "$new" = "$zero" ] && continue
  if [ "$WORKFLOWS" != 1 ]; then
    file=$(git log --format= --name-only "$new" --not --all -- .github/workflows | head -n 1)
    if [ -n "$file" ]; then
      echo "error: refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` permission" >&2
      exit 1
    fi
  fi
done
