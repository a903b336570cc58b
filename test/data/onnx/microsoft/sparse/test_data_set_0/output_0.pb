B
same_valueJÌ†?dã?"i#À